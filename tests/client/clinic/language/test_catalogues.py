"""Every sentence of the page is in every catalogue, whole, with the same placeholders and marks."""

from __future__ import annotations

import re
from collections import Counter
from datetime import datetime
from functools import cache
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir
from babel.messages.frontend import parse_mapping_cfg
from babel.messages.pofile import read_po

from dermafed.client.clinic.language import speech
from dermafed.client.clinic.language.languages import CATALOGUES, ENGLISH, NAMES, language
from dermafed.client.clinic.language.speech import gettext, ngettext, speaking
from tests.paths import ROOT

CLINIC = ROOT / "client" / "clinic"
PLURALS = {"%(num)s selected.", "Diagnose %(num)s images"}
SCRIPTS = sorted((CLINIC / "http" / "static").glob("*.js"))
OTHERS = [code for code in NAMES if code != ENGLISH]
MARKS = re.compile(r"%\(\w+\)s|%%|</?\w+[^>]*>|fl-client \w+|L-0042|JPEG|PNG|ABCD|JavaScript")


@cache
def said(suffixes: tuple[str, ...] = ("",)) -> frozenset[str]:
    """What the sources whose names end so say, as Babel finds it."""
    with (CATALOGUES / "sources.cfg").open() as file:
        methods, options = parse_mapping_cfg(file)
    keywords = {**DEFAULT_KEYWORDS, "gettextNodes": None}
    found = extract_from_dir(CLINIC, methods, options, keywords)
    return frozenset(_first(message) for name, _, message, _, _ in found if name.endswith(suffixes))


def _first(message: str | tuple[str, ...] | list[str]) -> str:
    return message if isinstance(message, str) else message[0]


@cache
def catalogue(code: str) -> Catalog:
    with (CATALOGUES / f"{code}.po").open("rb") as file:
        return read_po(file, locale=code)


def forms(message: Message) -> list[str]:
    return [message.string] if isinstance(message.string, str) else list(message.string)


def test_the_page_speaks_five_languages() -> None:
    own = {"en": "English", "de": "Deutsch", "fr": "Français", "es": "Español", "it": "Italiano"}
    assert own.items() <= NAMES.items()
    assert len(said()) > 400


@pytest.mark.parametrize("code", OTHERS)
def test_no_sentence_is_missing_empty_doubtful_or_left_over(code: str) -> None:
    there = {_first(each.id): each for each in catalogue(code) if each.id}
    assert set(there) == said()
    assert [key for key, each in there.items() if each.fuzzy or not all(forms(each))] == []
    assert not catalogue(code).obsolete


@pytest.mark.parametrize("code", OTHERS)
def test_the_page_carries_all_that_its_scripts_may_say(code: str) -> None:
    sources = (".js", "language/terms.py", "similar/similar_cases.py")
    assert set(language(code).for_scripts) == said(sources)


@pytest.mark.parametrize("code", OTHERS)
def test_placeholders_marks_and_figures_are_those_of_the_english_sentence(code: str) -> None:
    for each in catalogue(code):
        if not each.id:
            continue
        english = [each.id] if isinstance(each.id, str) else list(each.id)
        for form in forms(each):
            assert Counter(MARKS.findall(form)) == Counter(MARKS.findall(english[-1])), form
            figures = re.findall(r"\d+", MARKS.sub("", form))
            assert sorted(figures) == sorted(re.findall(r"\d+", MARKS.sub("", english[-1]))), form
            assert form.strip() == form
            assert form[-1:] in ".:…?" or english[-1][-1:] not in ".:…?", form


def strings(script: Path) -> list[str]:
    """The string literals of a script, without its comments."""
    code = re.sub(r"(?m)^\s*//.*$|\s// .*$", "", script.read_text("utf-8"))
    return re.findall(r'"((?:[^"\\\n]|\\.)*)"|`((?:[^`\\]|\\.)*)`', code)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_what_a_script_says_is_in_the_catalogues(script: Path) -> None:
    literals = [one or other for one, other in strings(script)]
    sentences = {
        text for text in literals if re.match(r"[A-Z][a-z]+(?: \S|[.…]|$)|.*[a-z]{2} [a-z]{2}", text)
    }
    names = r"Enter|Home|Content|Image|GET|POST|DELETE|[#.].*|plain undo|.*/v1/.*"
    silent = {text for text in sentences if re.fullmatch(names, text)}
    assert sentences - silent - said() - PLURALS == set()


def test_numbers_days_and_times_are_written_as_each_language_writes_them() -> None:
    time = datetime(2026, 3, 4, 15, 6)
    written = {}
    for code in ("en", "de", "fr", "es", "it"):
        with speaking(language(code)):
            written[code] = (
                speech.number(1234567.891, 2), speech.weekday(time), speech.day_of_year(time),
                speech.clock(time),
            )  # fmt: skip
            assert speech.day(time).startswith("4")
    written["en"] = (
        written["en"][0],
        written["en"][1].replace(",", ""),
        *written["en"][2:],
    )  # as CLDR's version has it
    assert written["en"] == ("1,234,567.89", "Wednesday 4 March 2026", "4 March", "15:06")
    assert written["de"] == ("1.234.567,89", "Mittwoch, 4. März 2026", "4. März", "15:06")
    assert written["fr"] == ("1\u202f234\u202f567,89", "mercredi 4 mars 2026", "4 mars", "15:06")
    assert written["es"] == ("1.234.567,89", "miércoles, 4 de marzo de 2026", "4 de marzo", "15:06")
    assert written["it"] == ("1.234.567,89", "mercoledì 4 marzo 2026", "4 marzo", "15:06")


def test_a_number_chooses_its_form() -> None:
    told = {}
    for code in ("de", "fr", "es", "it"):
        with speaking(language(code)):
            told[code] = [
                ngettext("%(count)s year", "%(count)s years", n, count=n) for n in (0, 1, 2, 1_000_000)
            ]
    assert told["de"] == ["0 Jahre", "1 Jahr", "2 Jahre", "1000000 Jahre"]
    assert told["fr"] == ["0 an", "1 an", "2 ans", "1000000 ans"]
    assert told["es"][:3] == ["0 años", "1 año", "2 años"]
    assert told["it"][:3] == ["0 anni", "1 anno", "2 anni"]
    assert gettext("Sign in") == "Sign in"
