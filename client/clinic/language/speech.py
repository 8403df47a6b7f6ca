"""Say something in the reader's language: whole sentences by gettext, numbers and times as it writes them.

Outside :func:`speaking` all is English: the API, FHIR and DICOM stay so whoever asks.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import date, datetime
from decimal import Decimal

from babel.dates import format_date, format_datetime, format_skeleton
from babel.numbers import format_decimal

from dermafed.client.clinic.language.languages import ENGLISH, Language, language

_ENGLISH = language(ENGLISH)
_CURRENT: ContextVar[Language] = ContextVar("language", default=_ENGLISH)


def current() -> Language:
    """The reader's language."""
    return _CURRENT.get()


@contextmanager
def speaking(chosen: Language) -> Iterator[None]:
    """Speak a language for as long as the context lasts."""
    before = _CURRENT.set(chosen)
    try:
        yield
    finally:
        _CURRENT.reset(before)


def speak(chosen: Language) -> None:
    """Speak a language for the rest of the task, such as a request."""
    _CURRENT.set(chosen)


def N_(message: str) -> str:  # the name by which Babel finds what is said later
    """Mark a message for the catalogues; :func:`gettext` says it."""
    return message


def find_message(message: str) -> str:
    """A message in the reader's language, with its placeholders; itself if no catalogue has it."""
    return current().translations.gettext(message) if message else ""


def find_form(singular: str, plural: str, num: int) -> str:
    """The form of a message for a number, likewise."""
    return current().translations.ngettext(singular, plural, num)


def gettext(message: str, **values: object) -> str:
    """Say a message.

    Args:
        message: in English, with placeholders such as ``%(name)s``; a percent sign is written twice.
        values: of the placeholders.
    """
    return find_message(message) % values


def ngettext(singular: str, plural: str, num: int, **values: object) -> str:
    """Say a message in the form for a number; its placeholder is ``%(num)s``."""
    return find_form(singular, plural, num) % {"num": num, **values}


def number(value: float, digits: int = 0) -> str:
    """A number with so many digits after the point, or the comma."""
    pattern = "#,##0" + (f".{'0' * digits}" if digits else "")
    return format_decimal(Decimal(f"{value:.{digits}f}"), format=pattern, locale=current().locale)


def day(of: date) -> str:
    """Such as 30 November 2026."""
    return format_date(of, "long", locale=current().locale)


def weekday(of: date) -> str:
    """Such as Monday 30 November 2026."""
    return format_date(of, "full", locale=current().locale)


def day_of_year(of: date) -> str:
    """Such as 30 November."""
    return format_skeleton("MMMMd", of, locale=current().locale)


def clock(of: datetime) -> str:
    """Such as 14:05."""
    return format_datetime(of, "HH:mm", locale=current().locale)
