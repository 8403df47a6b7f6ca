"""Answers by lesion, and log-odds, against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from dermafed.shared.metrics.shortcuts.answers import LEAST, Answers, log_odds


def test_a_lesion_has_the_highest_of_its_images() -> None:
    answers = Answers.of_images(
        np.array([False, True, False]), np.array([-1.0, -3.0, -2.0]), ["two", "two", "one"]
    )
    assert answers.melanoma.tolist() == [False, True]
    assert answers.scores.tolist() == [-2, -1]


def test_log_odds_are_finite_and_those_of_one_class_against_the_rest() -> None:
    """0.2 against 0.5 + 0.3: ln(0.25)."""
    odds = log_odds(np.array([[0.2, 0.5, 0.3], [1, 0, 0], [0, 1, 0]], np.float32), 0)
    assert odds == pytest.approx([np.log(0.25), -np.log(LEAST), np.log(LEAST)])
