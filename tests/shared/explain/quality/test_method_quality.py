"""Everything that is measured of a method, with toy methods whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest

from dermafed.shared.explain.maps import Heatmap, Image
from dermafed.shared.explain.quality.method_quality import (
    MeasuredMethod,
    mean_scores,
    method_quality,
    with_best_widths,
)
from dermafed.shared.explain.quality.nulls import WIDTHS, blob, fit_nulls
from tests.shared.explain.quality.toy_models import darkness, random_image, two_classes

SIDE = 56


def gray(image: Image, target: int, against: int | None) -> Heatmap:
    """Dark for class 0, bright for class 1; the contrast is the first class's map."""
    return darkness(image, target)


def sure(images: np.ndarray) -> np.ndarray:
    """Class 0, whatever the image."""
    return two_classes(np.full(len(images), 0.9))


def images(lesions: int) -> list[tuple[Image, np.ndarray | None]]:
    """Dark lesions in turn up and down, and one image without."""
    found: list[tuple[Image, np.ndarray | None]] = [
        (random_image(99, SIDE), np.zeros((SIDE, SIDE), np.bool_))
    ]
    for number in range(lesions):
        mask = np.zeros((SIDE, SIDE), np.bool_)
        mask[:20, :20] = True
        mask = mask if number % 2 else mask[::-1, ::-1].copy()
        found.append(
            (np.where(mask[..., None], 10, random_image(number, SIDE) // 2 + 120).astype(np.uint8), mask)
        )
    return found


def test_what_is_measured_of_a_method_that_finds_dark_lesions() -> None:
    given = images(4)
    nulls = fit_nulls([mask for _, mask in given if mask is not None and mask.any()])
    found = method_quality(MeasuredMethod(gray, lambda *asked: 1 - gray(*asked)), sure, given, nulls)
    without, *lesions = found.images
    assert not {"pixel_precision", "box_overlap", "lesion_drop_blur", "chance_in_lesion"} & set(without)
    for own in lesions:
        assert own["pixel_precision"] == 1
        assert own["class_correlation"] == pytest.approx(-1, abs=1e-5)
        assert own["contrast_correlation"] == pytest.approx(1)
        assert own["randomised"] == pytest.approx(-1, abs=1e-5)
        # All pixels of a lesion are equally dark: within it the map says nothing.
        assert own["randomised_in_lesion"] == own["chance_in_lesion"] == 0
        assert own["pixel_precision_mean_mask"] < 1
    # Each lesion's neighbour is in the other corner, where the map of this one is wrong.
    assert len(found.other_image) == 4
    assert all(own["pixel_precision"] < 0.2 for own in found.other_image)
    assert sum("off_centre_precision" in own for own in lesions) == 1


def test_a_single_lesion_has_no_other_image() -> None:
    found = method_quality(MeasuredMethod(gray, gray), sure, images(1), None)
    assert found.other_image == []
    assert "chance_in_lesion" not in found.images[1]
    assert "pixel_precision_blob" not in found.images[1]
    assert found.images[1]["randomised"] == pytest.approx(1)


def test_the_blob_takes_the_best_width_for_each_measure() -> None:
    middle = np.zeros((SIDE, SIDE), np.bool_)
    middle[14:42, 14:42] = True
    given: list[tuple[Image, np.ndarray | None]] = [(random_image(seed, SIDE), middle) for seed in range(2)]
    nulls = fit_nulls([middle])
    wide = blob(SIDE, WIDTHS[0])

    def same(image: Image, target: int, against: int | None) -> Heatmap:
        return wide

    plain = method_quality(MeasuredMethod(same, same), sure, [*given, (random_image(5, SIDE), None)], nulls)
    best = with_best_widths(plain, [*given, (random_image(5, SIDE), None)], nulls)
    before, after = mean_scores(plain.images), mean_scores(best.images)
    assert before["pointing"] < 0.5 < 0.99 < after["pointing"]
    assert after["pointing_gain"] == pytest.approx(after["pointing"] - 1 / 4)
    assert after["box_overlap"] > before["box_overlap"]
    assert after["pixel_precision"] == before["pixel_precision"]
    assert best.images[2] == plain.images[2]


def test_means_are_over_the_images_that_have_the_measure() -> None:
    assert mean_scores([{"a": 1.0}, {"a": 2.0, "b": 5.0}, {}]) == {"a": 1.5, "b": 5.0}
