"""An audit in sums: added over clinics, it is that of all lesions in one place, and shows no small group."""

from __future__ import annotations

from dataclasses import replace
from functools import reduce
from operator import add

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dermafed.shared.errors import DatasetError, FederationError
from dermafed.shared.metrics.shortcuts.answers import Answers
from dermafed.shared.metrics.shortcuts.shortcut_effect import shortcut_effect
from dermafed.shared.metrics.shortcuts.shortcut_sums import CHANGE_BINS, STEP, ShortcutSums
from dermafed.shared.metrics.shortcuts.summed_effect import audit_summary, summed_effect

CHANGES = 2


def clinic(seed: int, lesions: int, melanomas: int) -> tuple[np.ndarray, Answers, list[Answers]]:
    """Scores from -4 to 4; an answer is melanoma where the score is above 0."""
    rng = np.random.default_rng(seed)
    truth = np.arange(lesions) < melanomas
    before = rng.normal(truth * 2.0 - 1, 1)
    every = [before, *(before + rng.normal(0.3, 1, lesions) for _ in range(CHANGES))]
    first, *others = (Answers(scores > 0, scores) for scores in every)
    return truth, first, others


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), clinics=st.integers(1, 4))
def test_sums_of_clinics_are_the_audit_of_all_lesions(seed: int, clinics: int) -> None:
    parts = [clinic(seed + number, 120, 40) for number in range(clinics)]
    sums = [ShortcutSums.of(*part) for part in parts]
    for own in sums:
        own.validate(CHANGES)
        assert own.lesions == 120
    together = reduce(add, sums)
    truth = np.concatenate([part[0] for part in parts])
    before = joined([part[1] for part in parts])
    for change in range(CHANGES):
        after = joined([part[2][change] for part in parts])
        found, exact = summed_effect(together, change), shortcut_effect(truth, before, after)
        assert (found.to_melanoma, found.to_benign) == (exact.to_melanoma, exact.to_benign)
        assert found.change is not None
        assert exact.change is not None
        assert found.change.mean == pytest.approx(exact.change.mean)
        differences = after.scores - before.scores
        spread = 1.959964 * differences.std(ddof=1) / np.sqrt(differences.size)
        assert found.change.interval is not None
        assert found.change.interval.high - found.change.mean == pytest.approx(spread)
        quantiles = np.quantile(differences, [0.05, 0.5, 0.95], method="inverted_cdf")
        assert np.abs(quantiles - found.change.quantiles).max() <= STEP / 2 + 1e-9
        assert found.auc is not None
        assert exact.auc is not None
        # Only pairs within a bin can be wrong, by a half each.
        assert found.auc.before == pytest.approx(exact.auc.before, abs=0.004)
        assert found.auc.after == pytest.approx(exact.auc.after, abs=0.004)
        assert found.auc.after_interval is not None
        assert found.auc.after_interval.low < found.auc.after < found.auc.after_interval.high


def joined(answers: list[Answers]) -> Answers:
    return Answers(
        np.concatenate([own.melanoma for own in answers]), np.concatenate([own.scores for own in answers])
    )


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 10**6), lesions=st.integers(0, 30), melanomas=st.integers(0, 12))
def test_nothing_is_shown_of_a_group_of_few(seed: int, lesions: int, melanomas: int) -> None:
    """Neither in a count, nor by the difference of two."""
    truth, before, after = clinic(seed, lesions, melanomas)
    try:
        sums = ShortcutSums.of(truth, before, after)
    except DatasetError:
        groups = [g & h for g in (truth, ~truth) for h in (before.melanoma, ~before.melanoma)]
        assert max(group.sum() for group in groups) < 10  # else its two groups would have been large enough
        return
    sums.validate(CHANGES)
    assert all(count == 0 or count >= 5 for count in (*sums.answers, *sums.scores[0].sum(axis=1)))
    shown = audit_summary(sums, ["a", "b"])
    assert shown["lesions"] == sums.answers.sum() == sums.scores[0].sum() <= lesions
    for effect in shown["effects"].values():
        assert all(
            flips is None or flips["lesions"] >= 5 for flips in (effect["to_melanoma"], effect["to_benign"])
        )


def test_worked_example_of_a_small_group() -> None:
    """Of ten others four are answered melanoma; with six melanomas. The four are left out everywhere."""
    truth = np.array([False] * 10 + [True] * 6)
    scores = np.array([-1.0] * 6 + [1.0] * 4 + [-1.0] * 6)
    before, after = Answers(scores > 0, scores), Answers(scores > -2, scores + 0.5)
    sums = ShortcutSums.of(truth, before, [after])
    assert sums.answers.tolist() == [12, 0]
    assert sums.flips.tolist() == [[12, 0]]
    assert sums.scores.sum(axis=2).tolist() == [[6, 6], [6, 6]]
    assert sums.changes[0].nonzero()[0].tolist() == [CHANGE_BINS // 2 + 2]
    assert sums.moments.tolist() == [[6.0, 3.0]]
    effect = summed_effect(sums, 0)
    assert effect.to_melanoma is not None
    assert effect.to_melanoma.interval.low == pytest.approx(0.025 ** (1 / 12))
    assert effect.to_benign is None
    assert effect.auc is not None
    assert effect.auc.after == 0.5
    with pytest.raises(DatasetError, match="4 lesions are too few"):
        ShortcutSums.of(truth[:4], Answers(truth[:4], scores[:4]), [Answers(truth[:4], scores[:4])])


def test_impossible_sums_are_refused() -> None:
    sums = ShortcutSums.of(*clinic(1, 60, 20))
    sums.validate(CHANGES)
    fewer, moved = sums.answers.copy(), sums.changes.copy()
    fewer[0] -= 1
    moved[0, 0] += 1
    impossible = [
        replace(sums, answers=fewer),
        replace(sums, answers=np.array([56, 4])),
        replace(sums, answers=sums.answers.astype(np.int32)),
        replace(sums, flips=sums.answers + np.ones((CHANGES, 1), np.int64)),
        replace(sums, flips=-sums.flips - 1),
        replace(sums, scores=np.roll(sums.scores, 1, axis=1)[:, :, ::-1] * np.array([1, 2])[None, :, None]),
        replace(sums, changes=moved),
        replace(sums, changes=sums.changes[:, :-1]),
        replace(sums, moments=np.full((CHANGES, 2), np.nan)),
        replace(sums, moments=sums.moments * [1, 1e-3]),
        replace(sums, moments=sums.moments + np.array([1e4, 1e8])),
        sums + sums + sums + sums + sums + sums,  # 360 lesions of one clinic
    ]
    for wrong in impossible:
        with pytest.raises(FederationError, match="audit is refused"):
            wrong.validate(CHANGES)
    with pytest.raises(FederationError):
        sums.validate(CHANGES + 1)
