from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dermafed.shared.errors import DatasetError, FederationError
from dermafed.shared.metrics.decision.lesion_scores import LesionScores
from dermafed.shared.metrics.decision.score_counts import ScoreCounts
from dermafed.shared.metrics.decision.score_histogram import ScoreHistogram
from tests.shared.metrics.decision.sample_lesions import MELANOMAS, OTHERS, two_classes


def drawn(melanomas: int, others: int, seed: int) -> LesionScores:
    rng = np.random.default_rng(seed)
    return two_classes(MELANOMAS.rvs(melanomas, random_state=rng), OTHERS.rvs(others, random_state=rng))


def test_lesions_are_counted_in_thousandths() -> None:
    found = ScoreHistogram.of(two_classes(np.array([0.5, 0.5004, 1.0]), np.array([0.0, 0.0009])))
    assert {int(place): int(found.counts[1, place]) for place in np.flatnonzero(found.counts[1])} == {
        500: 2,
        999: 1,
    }
    assert found.counts[0, 0] == found.counts[0].sum() == 2
    assert found.lesions == 5


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 10**6))
def test_clinics_add_up_to_all_their_lesions(first: int, second: int, seed: int) -> None:
    one, two = drawn(first, 7, seed), drawn(second, 9, seed + 1)
    both = LesionScores(np.concatenate([one.labels, two.labels]), np.concatenate([one.scores, two.scores]), 0)
    added = ScoreHistogram.of(one) + ScoreHistogram.of(two)
    assert (added.counts == ScoreHistogram.of(both).counts).all()
    # At the start of a bin, counts are those of the lesions themselves.
    exact = ScoreCounts.of_lesions(both)
    for threshold in added.at_thresholds.thresholds[[0, 137, 500, 999]]:
        assert added.at_thresholds.at(threshold) == exact.at(threshold)


def test_lesions_of_rare_classes_do_not_leave_the_clinic() -> None:
    """Of three classes: 4 melanomas, 6 nevi, 3 keratoses."""
    labels = np.repeat([0, 1, 2], [4, 6, 3])
    scores = np.tile([0.2, 0.5, 0.3], (13, 1))
    lesions = LesionScores(labels, scores, 0)
    found = ScoreHistogram.of(lesions, shows_rare=False)
    assert found.counts.sum(axis=1).tolist() == [6, 0]
    assert ScoreHistogram.of(lesions).counts.sum(axis=1).tolist() == [9, 4]
    found.validate()
    with pytest.raises(DatasetError, match="No class has enough"):
        ScoreHistogram.of(LesionScores(labels[:3], scores[:3], 0), shows_rare=False)


def changed(counts: np.ndarray, side: int, by: int) -> np.ndarray:  # type: ignore[type-arg]
    other = counts.copy()
    other[side, 3] += by
    return other


@pytest.mark.parametrize(
    "lie",
    [
        lambda counts: counts[:, :-1],
        lambda counts: counts.astype(float),
        lambda counts: changed(counts, 0, -1),
        lambda counts: changed(counts * 0, 1, 4),
        lambda counts: changed(counts * [[1], [0]], 1, 4),  # a class of four
        lambda counts: changed(counts, 1, 10**10),
        lambda counts: counts * 0,
    ],
)
def test_counts_that_no_lesions_give_are_refused(lie) -> None:  # type: ignore[no-untyped-def]
    good = ScoreHistogram.of(drawn(8, 20, 0))
    good.validate()
    with pytest.raises(FederationError, match="refused"):
        replace(good, counts=lie(good.counts)).validate()
