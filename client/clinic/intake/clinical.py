"""Clinical metadata M_i of an image (paper, section 3.1): what a device may send, and nothing that names."""

from __future__ import annotations

import json
import re
import unicodedata
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from dermafed.client.clinic.intake.refusals import Refused
from dermafed.shared.lesions.clinical_values import composed, is_letter, read_body_site, read_sex

MAX_TEXT = 4096  # bytes
MAX_AGE = 120
OLDEST = 90  # an older person could be known by the age alone
MOST_MM_PER_PIXEL = 1.0
FIELDS = ("age", "sex", "site", "request", "mm_per_pixel")

REQUEST = re.compile(r"[A-Za-z0-9._:-]{1,64}")  # a sender's name of a request
_BODY_SITE_LETTERS = 64
# Also the points of Catalan, Hebrew and Tibetan words, the commas of other scripts, and invisible marks that
# Khmer words and texts from right to left need.
_BODY_SITE_SIGNS = frozenset("/'&.,・·׳״་،、，፡\u200b\u200e\u200f\u061c")
_BODY_SITE_CATEGORIES = frozenset(("Zs", "Pd", "Ps", "Pe", "Pi", "Pf"))  # spaces, dashes, brackets, quotes
_FIELD = re.compile(r"[A-Za-z_]\w{0,31}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Clinical:
    """What is known of the person, without the identity.

    Attributes:
        age: whole years, 0 to 120, or ``None``; from 90 on, what a device sends is saved as 90.
        sex: ``"female"``, ``"male"`` or ``None``.
        site: body site as the sender names it, in Unicode's composed form and without blanks around it, or
            ``None``.
    """

    age: int | None = None
    sex: str | None = None
    site: str | None = None


def read_clinical(text: bytes | str) -> tuple[Clinical, str | None]:
    """Read the clinical data of an image: a JSON object, each field optional, ``null`` where unknown.

    Args:
        text: JSON in UTF-8, such as ``{"age": 54, "sex": "female", "site": "back", "request": "a-1"}``.

    Returns:
        What is known of the person, and the sender's name for the request.

    Raises:
        Refused: it is not such an object; no value is repeated in the message.
    """
    fields = _fields(text)
    age, sex, site, request = (fields.get(name) for name in ("age", "sex", "site", "request"))
    clinical = Clinical(_age(age), _sex(sex), _site(site))
    if request is not None and not (isinstance(request, str) and REQUEST.fullmatch(request)):
        raise _wrong("request", "Use 1 to 64 letters, digits, dots, dashes, underscores or colons")
    return clinical, request


def read_scale(text: bytes | str) -> float | None:
    """Read the scale of an image from the same object: its field ``mm_per_pixel``, if the device knows it.

    Raises:
        Refused: it is not such an object, or the scale is not a number of millimetres that can be.
    """
    scale = _fields(text).get("mm_per_pixel")
    if scale is None:
        return None
    if type(scale) not in (int, float) or not 0 < scale <= MOST_MM_PER_PIXEL:
        raise _wrong("mm_per_pixel", f"Give millimetres, more than 0 and at most {MOST_MM_PER_PIXEL}")
    return float(scale)


def _fields(text: bytes | str) -> dict[str, Any]:
    fields = _parse(text)
    for name in fields:
        if name not in FIELDS:
            raise _unknown(name)
    return fields


def _age(age: object) -> int | None:
    if age is None:
        return None
    whole = type(age) is int or (type(age) is float and age.is_integer())  # JSON knows one kind of number
    if not (whole and isinstance(age, int | float) and 0 <= age <= MAX_AGE):
        raise _wrong("age", f"Give whole years, 0 to {MAX_AGE}")
    return min(int(age), OLDEST)


def _sex(sex: object) -> str | None:
    if sex is None:
        return None
    if isinstance(sex, str):
        with suppress(ValueError):
            return read_sex(sex)
    raise _wrong("sex", "Give female or male; or other or unknown, which count as missing; or leave it out")


def _site(site: object) -> str | None:
    if site is None or (isinstance(site, str) and read_body_site(site) is None):
        return None
    if not isinstance(site, str) or not is_body_site(composed(site.strip())):
        raise _wrong("site", "Name a part of the body in at most 64 letters, without digits")
    return composed(site.strip())


def is_body_site(value: object) -> bool:
    """Whether this can be the name of a body site: short, of letters of any script, without dates or numbers.

    A letter may have combining marks, as scripts of South Asia need them.
    """
    return (
        isinstance(value, str)
        and 0 < len(value) <= _BODY_SITE_LETTERS
        and value.lstrip("\u200e\u200f\u061c")[:1].isalpha()
        and all(is_letter(character) or _is_sign(character) for character in value)
    )


def _is_sign(character: str) -> bool:
    return character in _BODY_SITE_SIGNS or unicodedata.category(character) in _BODY_SITE_CATEGORIES


def _parse(text: bytes | str) -> dict[str, Any]:
    if len(text) > MAX_TEXT:
        what = f"The metadata are longer than {MAX_TEXT} bytes"
        raise Refused("metadata-too-large", what, where="metadata", remedy="Send the known fields only")
    try:
        decoded = text.decode("utf-8-sig") if isinstance(text, bytes) else text.removeprefix("\ufeff")
        fields = json.loads(decoded, object_pairs_hook=_without_repeats, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise _malformed() from None  # the error's text repeats the sender's
    if not isinstance(fields, dict):
        raise _malformed()
    return fields


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise ValueError
    return fields


def _refuse_constant(_: str) -> None:
    raise ValueError


def _malformed() -> Refused:
    return Refused(
        "metadata-malformed",
        "The metadata are not a JSON object in UTF-8",
        where="metadata",
        remedy='Send such as {"age": 54, "sex": "female", "site": "back"}, each field once',
    )


def _unknown(name: str) -> Refused:
    called = f" '{name}'" if _FIELD.fullmatch(name) else ""  # else it may be a value in the wrong place
    return Refused(
        "metadata-unknown",
        f"The metadata have a field{called} that is not accepted",
        where="metadata",
        remedy="Send age, sex, site, request and mm_per_pixel only: nothing that names a person",
    )


def _wrong(field: str, remedy: str) -> Refused:
    what = f"The metadata's field '{field}' cannot be used"
    return Refused("metadata-value", what, where=field, remedy=remedy)
