from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from scipy.stats import mannwhitneyu
from sklearn.metrics import roc_auc_score

from dermafed.shared.metrics.decision.ranking import ScoredImages, melanoma_ranking


def images(melanomas: Sequence[float], others: Sequence[float], per_lesion: int = 1) -> ScoredImages:
    scores = np.array([*melanomas, *others], float)
    truth = np.arange(scores.size) < len(melanomas)
    return ScoredImages(scores, truth, [f"lesion {place // per_lesion}" for place in range(scores.size)])


def test_a_camera_that_sees_melanomas_lifts_the_auc_over_all_and_not_within() -> None:
    # Within either clinic, scores say nothing; the first has most melanomas and the higher scores.
    found = melanoma_ranking({"a": images([0.8] * 9, [0.8] * 3), "b": images([0.2], [0.2] * 9)}, bootstrap=20)
    assert found.auc_within.value == 0.5
    assert found.together is not None
    # Of 120 pairs: 9 * 9 won, 9 * 3 and 1 * 9 tied, 1 * 3 lost.
    assert found.together.auc.value == pytest.approx((81 + 36 / 2) / 120)
    assert (found.together.melanomas, found.together.others, found.together.auc.n) == (10, 12, 22)


def test_within_clinics_each_counts_by_its_melanomas() -> None:
    found = melanoma_ranking(
        {
            "right": images([0.9, 0.8, 0.7], [0.1, 0.2]),
            "wrong": images([0.1], [0.9, 0.8]),
            "benign": images([], [0.5, 0.6]),
        },
        bootstrap=0,
    )
    assert found.auc_within.value == pytest.approx((3 * 1 + 1 * 0) / 4)
    assert found.auc_within.n == 8
    assert found.clinics["benign"] is None
    assert found.auc_within.interval is None
    right = found.clinics["right"]
    assert right is not None
    assert right.partial_auc.value == pytest.approx(0.2)
    assert right.specificity_at["0.9"].value == 1


def test_intervals_are_of_lesions_drawn_within_clinic_and_class() -> None:
    rng = np.random.default_rng(0)
    melanomas, others = rng.normal(1, 1, 40), rng.normal(0, 1, 80)
    found = melanoma_ranking({"a": images(melanomas.tolist(), others.tolist())}, bootstrap=10_000)
    assert found.together is not None
    interval = found.together.auc.interval
    assert interval is not None
    assert interval.method == "percentile bootstrap over lesions or patients, stratified by clinic and class"
    truth = np.repeat([True, False], [40, 80])
    assert found.together.auc.value == pytest.approx(roc_auc_score(truth, np.r_[melanomas, others]))
    # The same from another source of randomness, each AUC as the share of pairs that SciPy counts.
    draws = rng.choice(melanomas, (4000, 40)), rng.choice(others, (4000, 80))
    drawn = mannwhitneyu(*draws, axis=1, method="asymptotic").statistic / (40 * 80)
    assert (interval.low, interval.high) == pytest.approx(np.percentile(drawn, [2.5, 97.5]), abs=0.01)
    assert found.clinics["a"] == found.together
    assert found.auc_within == found.together.auc


def test_images_of_one_lesion_are_drawn_together() -> None:
    rng = np.random.default_rng(1)
    melanomas, others = rng.normal(1, 1, 20), rng.normal(0, 1, 20)
    once = melanoma_ranking({"a": images(melanomas.tolist(), others.tolist())})
    repeated = images(np.repeat(melanomas, 4).tolist(), np.repeat(others, 4).tolist(), per_lesion=4)
    four = melanoma_ranking({"a": repeated})
    assert once.together is not None
    assert four.together is not None
    assert four.together.auc.value == pytest.approx(once.together.auc.value)
    for found in (once.together.auc, four.together.auc):
        assert found.interval is not None
        assert found.interval.high - found.interval.low > 0.2


def test_lesions_of_two_clinics_with_one_name_are_two() -> None:
    found = melanoma_ranking({"a": images([0.9], [0.1]), "b": images([0.9], [0.1])}, bootstrap=5)
    assert found.together is not None
    assert found.together.auc.n == 4


def test_no_melanoma_at_all() -> None:
    found = melanoma_ranking({"a": images([], [0.1, 0.2])}, bootstrap=5)
    assert (found.together, found.auc_within.value, found.clinics) == (None, None, {"a": None})
    assert found.to_dict()["auc_within"] == {"value": None, "interval": None, "n": 0}
