"""The languages that the page speaks, each read from its catalogue, and which one a browser asks for."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from gettext import NullTranslations
from pathlib import Path

from babel import Locale, negotiate_locale
from babel.messages.catalog import Catalog, Message
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import Translations

CATALOGUES = Path(__file__).parent / "catalogues"
ENGLISH = "en"
CODES = (ENGLISH, *sorted(path.stem for path in CATALOGUES.glob("*.po")))
NAMES = {code: str(Locale(code).get_display_name()).capitalize() for code in CODES}
"""Each language's own name by its code, as browsers write the code: English, and one for each catalogue."""

# Where a message is from that scripts show, too.
_IN_SCRIPTS = (".js", "language/terms.py", "similar/similar_cases.py")


@dataclass(frozen=True)
class Language:
    """A language of the page.

    Attributes:
        code: as browsers write it.
        locale: how dates and numbers are written.
        translations: of whole sentences; English is what the source says.
        for_scripts: translations that the page carries for its scripts, one for each plural form.
    """

    code: str
    locale: Locale
    translations: NullTranslations
    for_scripts: Mapping[str, list[str]] = field(default_factory=dict)


@cache
def language(code: str) -> Language:
    """The language of a code of ``NAMES``; its catalogue is compiled when it is first asked for."""
    if code == ENGLISH:
        return Language(code, Locale("en", "GB"), NullTranslations())
    with (CATALOGUES / f"{code}.po").open("rb") as file:
        catalogue = read_po(file, locale=code)
    carried = {_of(each.id): _forms(each) for each in catalogue if each.id and _is_in_scripts(each)}
    return Language(code, Locale(code), _compiled(catalogue), carried)


def choose_language(chosen: str, accepted: str) -> Language:
    """The language for a reader.

    Args:
        chosen: code that the reader chose before; empty or any other text without a choice.
        accepted: the header ``Accept-Language`` of the browser.
    """
    if chosen in NAMES:
        return language(chosen)
    return language(negotiate_locale(_by_preference(accepted), NAMES, sep="-") or ENGLISH)


def _by_preference(accepted: str) -> list[str]:
    """The codes of an ``Accept-Language`` header, the most wanted first (RFC 9110, 12.5.4)."""
    weighed = []
    for each in accepted.split(","):
        code, _, weight = each.partition(";q=")
        try:
            weighed.append((-float(weight or 1), code.strip().lower()))
        except ValueError:
            continue
    return [code for weight, code in sorted(weighed, key=lambda one: one[0]) if code and weight < 0]


def _compiled(catalogue: Catalog) -> NullTranslations:
    file = io.BytesIO()
    write_mo(file, catalogue)
    file.seek(0)
    return Translations(file)


def _is_in_scripts(message: Message) -> bool:
    return any(path.endswith(_IN_SCRIPTS) for path, _ in message.locations)


def _of(id: str | tuple[str, ...] | list[str]) -> str:
    return id if isinstance(id, str) else id[0]


def _forms(message: Message) -> list[str]:
    said = message.string or ""
    return [said] if isinstance(said, str) else list(said)
