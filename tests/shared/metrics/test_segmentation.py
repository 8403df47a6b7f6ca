"""Overlaps worked out by hand; the means' intervals by another way of resampling."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps
from sklearn.metrics import f1_score, jaccard_score

from dermafed.shared.metrics.segmentation import ImageOverlap, off_centre, segmentation_report

MASKS = nps.arrays(np.bool_, (6, 6))


def square(top: int, left: int, side: int, size: int = 8) -> np.ndarray:
    found = np.zeros((size, size), np.bool_)
    found[top : top + side, left : left + side] = True
    return found


def overlap(jaccard: float, precision: float = 0.9, away: float = 0.1) -> ImageOverlap:
    return ImageOverlap(2 * jaccard / (1 + jaccard), jaccard, precision, away)


def test_worked_example() -> None:
    # 4 x 4 pixels each, 8 of them common: Dice 16 / 32, Jaccard 8 / 24.
    found = ImageOverlap.of(square(0, 2, 4), square(0, 2, 4).astype(float), square(0, 0, 4))
    assert (found.dice, found.jaccard) == (0.5, pytest.approx(1 / 3))
    # Of the 16 pixels of score 1, 8 are lesion; then all pixels: 8/16 of the lesion at 8/16, 8/16 at 16/64.
    assert found.precision == pytest.approx(0.5 * 0.5 + 0.5 * 0.25)
    # The lesion's middle is at 2 of 8 pixels on both axes.
    assert found.away == pytest.approx(math.hypot(0.25, 0.25))


@given(MASKS, MASKS.filter(np.any))
def test_overlaps_are_scikit_learns(region: np.ndarray, mask: np.ndarray) -> None:
    found = ImageOverlap.of(region, region.astype(float), mask)
    assert found.dice == pytest.approx(f1_score(mask.ravel(), region.ravel()))
    assert found.jaccard == pytest.approx(jaccard_score(mask.ravel(), region.ravel()))


def test_nothing_found_has_no_overlap_and_a_full_image_no_precision() -> None:
    nothing = ImageOverlap.of(np.zeros((8, 8), bool), np.zeros((8, 8)), square(0, 0, 4))
    assert (nothing.dice, nothing.jaccard, nothing.precision) == (0, 0, 0.25)
    full = ImageOverlap.of(square(0, 0, 8), np.ones((8, 8)), np.ones((8, 8), bool))
    assert (full.dice, full.away) == (1, 0)
    assert math.isnan(full.precision)


def test_a_mask_without_a_lesion_is_refused() -> None:
    with pytest.raises(ValueError, match="is no lesion"):
        ImageOverlap.of(square(0, 0, 4), np.zeros((8, 8)), np.zeros((8, 8), bool))


def test_means_and_the_third_farthest_from_the_middle() -> None:
    images = [
        overlap(0.9, 0.99, away=0.0),
        overlap(0.6, 0.5, away=0.3),
        overlap(0.8, math.nan, away=0.2),
        overlap(0.65, 0.8, away=0.1),
        overlap(0.7, 0.7, away=0.4),
        overlap(0.3, 0.6, away=0.25),
    ]
    report = segmentation_report(images, list("abcdef"))
    means = {name: values["mean"] for name, values in report.items() if name != "images"}
    assert report["images"] == 6
    assert means["jaccard"] == pytest.approx((0.9 + 0.6 + 0.8 + 0.65 + 0.7 + 0.3) / 6)
    assert means["failed"] == pytest.approx(2 / 6)  # 0.65 itself is none
    assert means["precision"] == pytest.approx((0.99 + 0.5 + 0.8 + 0.7 + 0.6) / 5)
    assert means["precision_off_centre"] == pytest.approx((0.7 + 0.5) / 2)


def test_intervals_are_those_of_resampled_lesions() -> None:
    rng = np.random.default_rng(3)
    jaccard, lesions = rng.uniform(0.2, 1, 60), rng.integers(0, 20, 60)
    report = segmentation_report([overlap(value) for value in jaccard], [str(one) for one in lesions])
    found = report["jaccard"]["interval"]
    names = np.unique(lesions)
    means = []
    for _ in range(4000):
        drawn = rng.choice(names, len(names))
        means.append(np.concatenate([jaccard[lesions == one] for one in drawn]).mean())
    low, high = np.percentile(means, [2.5, 97.5])
    assert (found["low"], found["high"]) == (pytest.approx(low, abs=0.01), pytest.approx(high, abs=0.01))
    assert found["method"] == "percentile bootstrap over lesions"


def test_images_of_one_lesion_give_no_interval() -> None:
    report = segmentation_report([overlap(0.5), overlap(0.9)], ["a", "a"])
    assert report["jaccard"] == {"mean": pytest.approx(0.7), "interval": None}


def test_full_images_have_no_precision_at_all() -> None:
    report = segmentation_report([overlap(0.5, math.nan)], ["a"])
    assert report["precision"] == {"mean": None, "interval": None}


@given(st.integers(1, 20))
def test_off_centre_are_a_third_and_at_least_one(images: int) -> None:
    away = np.random.default_rng(images).random(images)
    chosen = off_centre(away)
    assert chosen.sum() == max(1, images // 3)
    assert away[chosen].min() >= away[~chosen].max(initial=0)
