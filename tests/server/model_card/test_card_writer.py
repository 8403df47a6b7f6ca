"""Names of clinics stay text, in Markdown and in HTML."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from dermafed.server.model_card.card_facts import CardFacts
from dermafed.server.model_card.card_writer import card_text, write_card
from dermafed.server.model_card.run_facts import simulated_facts
from tests.server.model_card.simulated_run import simulation

HOSTILE = "<img src=x onerror=alert(1)> | **bold** [link](http://a.example) `code` & more"
NAMES = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S")), min_size=1, max_size=30)


def cells(text: str) -> list[str]:
    """The text of every cell of every table, as a browser would show it."""
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    return [
        "".join(child.content for child in token.children or [])
        for before, token in pairwise(tokens)
        if before.type in ("td_open", "th_open")
    ]


def named(facts: CardFacts, name: str) -> CardFacts:
    return replace(facts, clinics={"a": 50, name: 50})


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> CardFacts:
    return simulated_facts(simulation(tmp_path_factory.mktemp("run")))


@given(NAMES)
@example(HOSTILE)
@settings(max_examples=20, deadline=None)
def test_a_name_is_shown_as_it_is(facts: CardFacts, name: str) -> None:
    shown = cells(card_text(named(facts, name)))
    assert name in shown
    assert len(shown) == len(cells(card_text(named(facts, "plain"))))


def test_a_name_is_not_html(facts: CardFacts, tmp_path: Path) -> None:
    _, html, _ = write_card(tmp_path, replace(named(facts, HOSTILE), name="<script>alert(1)</script>"))
    text = html.read_text("utf-8")
    for tag in ("<script", "<img", "<strong>bold", "<a "):
        assert tag not in text
    assert "&lt;img src=x onerror=alert(1)&gt; | **bold** [link]" in text
    assert text.count("&lt;script&gt;alert(1)") == 2  # the title and the heading


def test_the_page_needs_nothing_from_elsewhere(facts: CardFacts, tmp_path: Path) -> None:
    _, html, _ = write_card(tmp_path, facts)
    text = html.read_text("utf-8")
    assert "default-src 'none'" in text
    assert "http" not in text.replace("http-equiv", "")
    assert "library_name" not in text  # the head is for the Hub
