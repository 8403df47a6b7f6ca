"""All measures together."""

from __future__ import annotations

import numpy as np
import pytest

from dermafed.shared.explain.quality.quality_sums import MEASURES
from dermafed.shared.explain.quality.scoring import explanation_quality, image_scores
from tests.shared.explain.quality.toy_models import (
    QUADRANT,
    SIDE,
    constant,
    on_quadrant,
    random_image,
    redness,
    white,
)


def test_an_image_with_a_mask_has_every_measure() -> None:
    mask = np.zeros((SIDE, SIDE), bool)
    mask[QUADRANT] = True
    scores = image_scores(lambda image, target: on_quadrant(), redness, white(), on_quadrant(), 0, mask)
    assert set(scores) == set(MEASURES)
    assert (scores["pointing"], scores["pointing_chance"], scores["pointing_gain"]) == (1, 0.25, 0.75)
    assert (scores["drop"], scores["increase"]) == (0, 0)
    assert scores["stability_noise"] == pytest.approx(1)
    for name, value in scores.items():
        low, high = MEASURES[name].range
        assert low <= value <= high


@pytest.mark.parametrize("mask", [None, np.zeros((SIDE, SIDE), bool)])
def test_an_image_without_a_lesion_has_no_pointing(mask: np.ndarray | None) -> None:
    scores = image_scores(constant(0.5), redness, white(), on_quadrant(), 0, mask)
    assert set(MEASURES) - set(scores) == {"pointing", "pointing_chance", "pointing_gain"}


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
