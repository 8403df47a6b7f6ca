from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score, roc_curve

from dermafed.shared.metrics.decision.roc_curves import RocCurves


def sample(seed: int, ties: bool = False) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[type-arg]
    rng = np.random.default_rng(seed)
    positive = np.r_[True, False, rng.random(60) < 0.3]
    scores = rng.normal(size=62) + positive
    return np.round(scores, 0 if ties else 9), positive


def once(scores: np.ndarray, positive: np.ndarray) -> RocCurves:  # type: ignore[type-arg]
    return RocCurves.of(scores, positive, np.ones((1, scores.size)))


def test_a_curve_of_five_images() -> None:
    # From the top: positive, negative, positive, positive and negative tied.
    curve = once(np.array([0.9, 0.8, 0.7, 0.2, 0.2]), np.array([True, False, True, True, False]))
    assert curve.sensitivity[0] == pytest.approx([0, 1 / 3, 1 / 3, 2 / 3, 1])
    assert curve.specificity[0] == pytest.approx([1, 1, 1 / 2, 1 / 2, 0])
    # Pairs won: 2, 1 and a half of 2 + half of the tie: (2 + 1 + 0.5) / 6.
    assert curve.auc[0] == pytest.approx(3.5 / 6)
    # Above 2/3: the triangle below the last line, 1/3 wide and 1/2 high.
    assert curve.area_above(2 / 3)[0] == pytest.approx(1 / 12)
    # Above 5/6 it has half of the sides.
    assert curve.area_above(5 / 6)[0] == pytest.approx(1 / 48)
    assert [curve.specificity_at(s)[0] for s in (0.3, 0.5, 2 / 3, 0.7, 1)] == [1, 0.5, 0.5, 0, 0]


@given(seed=st.integers(0, 10**6), ties=st.booleans())
def test_areas_and_points_are_those_of_scikit_learn(seed: int, ties: bool) -> None:
    scores, positive = sample(seed, ties)
    curve = once(scores, positive)
    assert curve.auc[0] == pytest.approx(roc_auc_score(positive, scores))
    false, true, _ = roc_curve(positive, scores, drop_intermediate=False)
    np.testing.assert_allclose(curve.sensitivity[0], true)
    np.testing.assert_allclose(curve.specificity[0], 1 - false)
    assert curve.specificity_at(0.9)[0] == pytest.approx(1 - false[true >= 0.9].min())


@given(seed=st.integers(0, 10**6), ties=st.booleans())
def test_the_area_above_80_per_cent_is_that_of_isic_2024s_scorer(seed: int, ties: bool) -> None:
    scores, positive = sample(seed, ties)
    # Its code: both sides swapped, McClish's standardisation undone.
    scaled = roc_auc_score(~positive, -scores, max_fpr=0.2)
    least = 0.5 * 0.2**2
    expected = least + (0.2 - least) / 0.5 * (scaled - 0.5)
    assert once(scores, positive).area_above(0.8)[0] == pytest.approx(expected)


def test_a_weight_of_two_is_an_image_seen_twice() -> None:
    scores, positive = sample(3)
    weights = np.random.default_rng(4).integers(1, 4, (2, scores.size)).astype(float)
    found = RocCurves.of(scores, positive, weights)
    for place, row in enumerate(weights.astype(int)):
        again = once(np.repeat(scores, row), np.repeat(positive, row))
        assert found.auc[place] == pytest.approx(again.auc[0])
        assert found.area_above(0.8)[place] == pytest.approx(again.area_above(0.8)[0])
        assert found.specificity_at(0.95)[place] == again.specificity_at(0.95)[0]


def test_equal_scores_say_nothing() -> None:
    curve = once(np.zeros(5), np.array([True, True, False, False, False]))
    assert curve.auc[0] == 0.5
    assert curve.area_above(0.8)[0] == pytest.approx(0.02)
    assert curve.specificity_at(0.5)[0] == 0
