"""Metrics by group against worked-out values."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest
from scipy.stats import binom

from dermafed.shared.metrics.fairness.group_comparison import GroupComparison, compare_groups
from dermafed.shared.metrics.fairness.group_metrics import METRICS, ImagePredictions

MELANOMA, NEVUS = 0, 1


def images(of: list[tuple[str, int, int, int]]) -> tuple[ImagePredictions, list[str]]:
    """Images given by group, class, seed and number of correct ones; all with a confidence of 0.8."""
    groups, labels, seeds, sure = [], [], [], []
    for group, label, seed, found in of:
        for place in range(12):
            groups.append(group)
            labels.append(label)
            seeds.append(seed)
            sure.append(0.8 if (place < found) == (label == MELANOMA) else 0.2)
    probabilities = np.array([[own, 1 - own] for own in sure])
    each = {key: place for place, key in enumerate(dict.fromkeys(zip(groups, labels, strict=True)))}
    lesions = [each[key] * 12 + n % 12 for n, key in enumerate(zip(groups, labels, strict=True))]
    return ImagePredictions(
        np.array(labels), probabilities, np.array(lesions), np.array(seeds), MELANOMA
    ), groups


def compared(of: list[tuple[str, int, int, int]], draws: int = 2000) -> GroupComparison:
    found, groups = images(of)
    comparison = compare_groups(found, groups, ["old", "young"], draws=draws)
    assert comparison is not None
    return comparison


ONE_SEED = [("old", MELANOMA, 0, 9), ("old", NEVUS, 0, 12), ("young", MELANOMA, 0, 3), ("young", NEVUS, 0, 6)]


def test_worked_example_of_metrics() -> None:
    values = dict(zip(METRICS, compared(ONE_SEED).values, strict=True))
    assert values["melanoma_sensitivity"] == pytest.approx([9 / 12, 3 / 12])
    assert values["balanced_accuracy"] == pytest.approx([(9 / 12 + 1) / 2, (3 / 12 + 6 / 12) / 2])
    # All are sure by 0.8, so in one bin: right are 21 and 9 of 24.
    assert values["calibration_error"] == pytest.approx([abs(0.8 - 21 / 24), abs(0.8 - 9 / 24)])


def test_the_interval_is_a_binomial() -> None:
    """Nine of twelve melanomas are found: Binomial(12, 0.75) of the drawn ones are."""
    interval = compared(ONE_SEED, draws=4000).interval("melanoma_sensitivity", 0)
    expected = tuple(binom.ppf(share, 12, 0.75) / 12 for share in (0.025, 0.975))
    assert (interval.low, interval.high) == pytest.approx(expected)


def test_the_gap_is_between_the_furthest_and_against_permuted_groups() -> None:
    gap = compared(ONE_SEED).gap("melanoma_sensitivity")
    assert gap is not None
    assert (gap.highest, gap.lowest, gap.value) == ("old", "young", pytest.approx(0.5))
    # Of 24 melanomas 12 are found; by lot X of them are of the old, and the gap is |2 X - 12| / 12.
    # P(|X - 6| >= 3) = 2 * (C(12,9) C(12,3) + ...) / C(24,12) = 0.0391; P(|X - 6| >= 2) = 0.2203.
    assert gap.p == pytest.approx(0.0391, abs=0.015)
    assert gap.chance == pytest.approx(4 / 12)


def test_alike_groups_have_no_gap() -> None:
    gap = compared([(group, label, 0, 9) for group in ("old", "young") for label in (0, 1)]).gap(
        "balanced_accuracy"
    )
    assert gap is not None
    assert (gap.value, gap.p) == (0, 1)


def test_seeds_that_differ_widen_the_interval() -> None:
    alike = [(group, label, seed, 9) for seed in (0, 1) for group in ("old", "young") for label in (0, 1)]
    apart = [(group, label, seed, 12 - 6 * seed) for group, label, seed, _ in alike]
    narrow, wide = (compared(of).interval("balanced_accuracy", 0) for of in (alike, apart))
    assert compared(apart).values[0] == pytest.approx([0.75, 0.75])
    assert wide.high - wide.low > 1.5 * (narrow.high - narrow.low)


def test_seeds_with_other_test_images_leave_nothing_undefined() -> None:
    """No lesion is in both seeds' tests: drawn at large, a class would vanish from a seed now and then."""
    found, groups = images(ONE_SEED + [(group, label, 1, 6) for group, label, _, _ in ONE_SEED])
    few = np.concatenate([np.arange(start, start + 5) for start in range(0, 96, 12)])
    which = np.isin(np.arange(96), few)
    lesions = np.where(found.seeds == 1, found.lesions + 48, found.lesions)
    _, numbered = np.unique(lesions[which], return_inverse=True)
    own = ImagePredictions(
        found.labels[which], found.probabilities[which], numbered, found.seeds[which], MELANOMA
    )
    comparison = compare_groups(own, [groups[n] for n in np.flatnonzero(which)], ["old", "young"], draws=2000)
    assert comparison is not None
    assert comparison.counts.tolist() == [[5, 5], [5, 5]]
    assert not np.isnan(comparison.samples).any()
    assert comparison.interval("melanoma_sensitivity", 0) is None  # all of the old's five are found
    json.dumps(asdict(comparison.interval("melanoma_sensitivity", 1)), allow_nan=False)


def test_images_of_no_group_do_not_count() -> None:
    found, _ = images(ONE_SEED)
    assert compare_groups(found, [None] * 48, ["old"]) is None
