"""The measures of an audit, against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from dermafed.shared.metrics.shortcuts.answers import Answers
from dermafed.shared.metrics.shortcuts.shortcut_effect import disclosed_lesions, shortcut_effect

RNG = np.random.default_rng(5)
TRUTH = np.arange(30) < 12
BEFORE = Answers(RNG.random(30) < 0.5, RNG.normal(TRUTH, 1.0))


def test_flips_are_counted_among_those_that_had_the_other_answer() -> None:
    """Of 20 benign answers 4 flip, of 10 others 1; 0 of 10 ends at 1 - 0.025 ** (1 / 10) = 0.308."""
    before, after = np.arange(30) >= 20, np.arange(30) >= 20
    after[:4], after[29] = True, False
    scores = np.zeros(30)
    effect = shortcut_effect(TRUTH, Answers(before, scores), Answers(after, scores))
    assert effect.to_melanoma is not None
    assert effect.to_benign is not None
    assert (effect.to_melanoma.flipped, effect.to_melanoma.lesions, effect.to_melanoma.share) == (4, 20, 0.2)
    assert (effect.to_benign.flipped, effect.to_benign.lesions) == (1, 10)
    same = shortcut_effect(TRUTH, Answers(before, scores), Answers(before, scores)).to_benign
    assert same is not None
    assert same.interval.high == pytest.approx(1 - 0.025**0.1)


def test_the_change_is_paired_and_constant_changes_have_no_interval() -> None:
    after = Answers(BEFORE.melanoma, BEFORE.scores + 2)
    change = shortcut_effect(TRUTH, BEFORE, after).change
    assert change is not None
    assert (change.mean, change.quantiles) == (pytest.approx(2), pytest.approx((2, 2, 2)))

    moved = BEFORE.scores + np.arange(30) / 10
    effect = shortcut_effect(TRUTH, BEFORE, Answers(BEFORE.melanoma, moved))
    assert effect.change is not None
    assert effect.change.interval is not None
    # Strata of 12 and 18 lesions keep their sizes: the standard error is that of the stratified mean.
    error = np.sqrt(12**2 * np.var(np.arange(12)) / 12 + 18**2 * np.var(np.arange(18)) / 18) / 30 / 10
    assert effect.change.mean == pytest.approx(1.45)
    assert effect.change.interval.high - effect.change.interval.low == pytest.approx(
        2 * 1.96 * error, rel=0.1
    )


def test_auc_before_and_after_is_scikit_learns() -> None:
    after = Answers(BEFORE.melanoma, RNG.normal(size=30))
    auc = shortcut_effect(TRUTH, BEFORE, after).auc
    assert auc is not None
    assert auc.before == pytest.approx(roc_auc_score(TRUTH, BEFORE.scores))
    assert auc.after == pytest.approx(roc_auc_score(TRUTH, after.scores))
    assert auc.after_interval is not None
    assert auc.after_interval.low < auc.after < auc.after_interval.high


def test_the_same_scores_change_no_auc() -> None:
    auc = shortcut_effect(TRUTH, BEFORE, BEFORE).auc
    assert auc is not None
    assert auc.change_interval is None
    assert auc.before == auc.after


@given(st.integers(0, 12))
def test_groups_of_fewer_than_five_lesions_are_hidden_and_so_is_the_total(benign: int) -> None:
    answered = np.arange(12) >= benign
    answers = Answers(answered, np.zeros(12))
    effect = shortcut_effect(np.arange(12) < benign, answers, answers)
    assert (effect.to_melanoma is None) == (benign < 5)
    assert (effect.to_benign is None) == (12 - benign < 5)
    assert (effect.auc is None) == (min(benign, 12 - benign) < 5)
    assert disclosed_lesions({"ink": effect}, 12) == (12 if 5 <= benign <= 7 else None)


def test_four_lesions_show_nothing() -> None:
    answers = Answers(np.arange(4) > 1, np.arange(4.0))
    assert set(shortcut_effect(np.arange(4) > 1, answers, answers).to_dict().values()) == {None}
