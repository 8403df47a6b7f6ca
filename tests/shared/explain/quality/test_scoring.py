"""All measures together."""

from __future__ import annotations

import numpy as np
import pytest

from dermafed.shared.explain.quality.localisation import pixel_precision
from dermafed.shared.explain.quality.nulls import fit_nulls
from dermafed.shared.explain.quality.quality_sums import MEASURES
from dermafed.shared.explain.quality.scoring import add_precision_of_sets, explanation_quality, image_scores
from tests.shared.explain.quality.toy_models import (
    QUADRANT,
    SIDE,
    constant,
    on_quadrant,
    random_image,
    redness,
    white,
)

LOCATED = {"pixel_precision", "pointing", "pointing_chance", "pointing_gain"}
PERTURBED = {
    "deletion",
    "insertion",
    "drop",
    "increase",
    "stability_shift",
    "stability_noise",
    "stability_jpeg",
}


def test_an_image_with_a_mask_has_every_measure() -> None:
    mask = np.zeros((SIDE, SIDE), bool)
    mask[QUADRANT] = True
    scores = image_scores(lambda image, target: on_quadrant(), redness, white(), on_quadrant(), 0, mask)
    assert set(scores) == LOCATED | PERTURBED
    assert scores["pixel_precision"] == 1
    assert (scores["pointing"], scores["pointing_chance"], scores["pointing_gain"]) == (1, 0.25, 0.75)
    assert (scores["drop"], scores["increase"]) == (0, 0)
    assert scores["stability_noise"] == pytest.approx(1)
    for name, value in scores.items():
        low, high = MEASURES[name].range
        assert low <= value <= high


@pytest.mark.parametrize("mask", [None, np.zeros((SIDE, SIDE), bool)])
def test_an_image_without_a_lesion_has_no_pointing(mask: np.ndarray | None) -> None:
    scores = image_scores(constant(0.5), redness, white(), on_quadrant(), 0, mask)
    assert set(scores) == PERTURBED


def test_the_predicted_class_is_explained() -> None:
    asked: list[int] = []

    def explain(image: np.ndarray, target: int) -> np.ndarray:
        asked.append(target)
        return on_quadrant()

    red, blue = white(), np.zeros_like(white())
    quality = explanation_quality(explain, redness, [(red, None)] * 3 + [(blue, None)] * 3)
    assert asked == [0] * 12 + [1] * 12
    assert quality.images == 6
    assert quality.moments["drop"].count == 6


def test_a_constant_map_is_measured_too() -> None:
    images = [(random_image(seed), None) for seed in range(5)]
    quality = explanation_quality(constant(0), redness, images)
    assert all(np.isfinite(moments.mean) for moments in quality.moments.values())
    assert quality.moments["stability_shift"].mean == 0


def corner(row: int, column: int) -> np.ndarray:
    mask = np.zeros((SIDE, SIDE), np.bool_)
    mask[row : row + 2, column : column + 2] = True
    return mask


def test_precision_of_a_set_is_compared_with_maps_that_do_not_look() -> None:
    """Nine lesions, three of them in a corner: these are the off-centre third."""
    masks = [corner(3, 3)] * 6 + [corner(0, 0), corner(6, 6), corner(0, 6)]
    images = [(random_image(seed), mask) for seed, mask in enumerate(masks)]
    maps = {image.tobytes(): mask.astype(np.float32) for image, mask in images}
    nulls = fit_nulls([corner(3, 3), corner(2, 3)])

    def explain(image: np.ndarray, target: int) -> np.ndarray:
        return maps.get(image.tobytes(), np.zeros((SIDE, SIDE), np.float32))

    moments = explanation_quality(explain, redness, images, nulls).moments
    assert moments["pixel_precision"].mean == 1
    assert moments["pixel_precision"].count == 9
    assert moments["pixel_precision_blob"].mean == pytest.approx(
        np.mean([pixel_precision(nulls.blob(), mask) for mask in masks])
    )
    # The next image's map is right for the first five, and elsewhere worth the lesion's share of the image.
    wrong = 4 / 64
    precision = pixel_precision(masks[6].astype(np.float32), masks[5])
    assert precision == pytest.approx(wrong)
    assert moments["pixel_precision_other_image"].mean == pytest.approx((5 + 4 * wrong) / 9)
    assert "off_centre_precision" not in moments, "three images are too few to tell"


def test_the_off_centre_third_is_by_itself() -> None:
    masks = [corner(3, 3)] * 10 + [corner(0, 0)] * 5
    heatmaps = [corner(3, 3).astype(np.float32)] * 15
    nulls = fit_nulls([corner(3, 3)])
    scores = [
        {"pixel_precision": pixel_precision(each, mask)} for each, mask in zip(heatmaps, masks, strict=True)
    ]
    add_precision_of_sets(scores, heatmaps, [*masks[:14], None], nulls)
    far = [own for own in scores if "off_centre_precision" in own]
    assert len(far) == 5, "a third of the 14 lesions"
    assert {own["off_centre_precision"] for own in far} == {1.0, 4 / 64}
    assert far[-1]["off_centre_precision_mean_mask"] == pytest.approx(4 / 64)
    assert far[-1]["off_centre_precision_blob"] < far[0]["off_centre_precision_blob"]
    assert set(scores[-1]) == {"pixel_precision"}, "it has no lesion"
    assert set(scores[0]) >= {
        "pixel_precision_blob",
        "pixel_precision_mean_mask",
        "pixel_precision_other_image",
    }
    assert all(name in MEASURES for own in scores for name in own)
