"""Reporting checklists filled from a run: STARD-AI and CLEAR Derm, item by item.

What the run cannot know is left, in plain words, to whoever publishes.

References:
    Sounderajah et al. 2025, "The STARD-AI reporting guideline for diagnostic accuracy studies using
    artificial intelligence", Nature Medicine 31:3283, Table 2 (40 items; CC BY).
    Daneshjou et al. 2022, "Checklist for evaluation of image-based artificial intelligence reports in
    dermatology", JAMA Dermatology 158:90.
"""

from __future__ import annotations

from dermafed.server.model_card.card_facts import (
    CardFacts,
    has_enough_of_each_class,
    publishable_alert,
    publishable_counts,
    publishable_tests,
)
from dermafed.server.model_card.markdown_template import render_markdown

CHECKLISTS_FILE = "checklists.md"


def checklists_text(facts: CardFacts) -> str:
    """Both checklists in Markdown; small counts are withheld as in the card.

    Args:
        facts: the facts of the run.
    """
    sides = publishable_counts(facts.sides or {})
    return render_markdown(
        "checklists.md",
        facts=facts,
        sides=sides if all(count is not None for count in sides.values()) else None,
        tests=publishable_tests(facts.tests),
        melanoma=facts.melanoma,
        alert=publishable_alert(facts.test_alert),
        has_enough_of_each_class=has_enough_of_each_class,
    )
