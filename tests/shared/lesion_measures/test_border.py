from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ellipe

from dermafed.shared.lesion_measures.border import Border, measure_border, perimeter
from dermafed.shared.lesion_measures.patch import cut_patch
from tests.shared.lesion_measures.shapes import Mask, disc, ellipse, half_disc, picture, ramp, square, star

# P^2 / (4 pi A) by hand; an ellipse's perimeter is 4 a E(1 - (b/a)^2).
ELLIPSE = (4 * 2 * ellipe(1 - 0.25)) ** 2 / (4 * np.pi * np.pi * 2)
SQUARE = 16 / (4 * np.pi)
HALF_DISC = (np.pi + 2) ** 2 / (2 * np.pi**2)


def border(lesion: Mask) -> Border:
    return measure_border(cut_patch(lesion, picture(lesion)))


@pytest.mark.parametrize("radius", [12, 25, 60, 180])
def test_the_perimeter_of_a_disc_is_that_of_a_circle(radius: int) -> None:
    lesion = disc(3 * radius, radius)
    patch = cut_patch(lesion, picture(lesion))
    assert perimeter(patch) / patch.grain == pytest.approx(2 * np.pi * radius, rel=0.01)
    assert border(lesion).irregularity == pytest.approx(1, abs=0.012)


# Corners are rounded by the smoothing; where there is none, the value is exact.
@pytest.mark.parametrize(
    ("lesion", "expected", "tolerance"),
    [
        (ellipse(240, 80, 40), ELLIPSE, 0.01),
        (square(240, 60), SQUARE, 0.03),
        (half_disc(240, 80), HALF_DISC, 0.03),
    ],
)
def test_the_irregularity_of_shapes_known_by_hand(lesion: Mask, expected: float, tolerance: float) -> None:
    assert border(lesion).irregularity == pytest.approx(expected, rel=tolerance)


def test_a_wavy_border_is_as_long_as_its_integral() -> None:
    angle = np.linspace(0, 2 * np.pi, 100_001)
    radius = 1 + 0.15 * np.cos(7 * angle)
    slope = -0.15 * 7 * np.sin(7 * angle)
    length = np.trapezoid(np.hypot(radius, slope), angle)
    area = np.trapezoid(radius**2 / 2, angle)
    found = border(star(300, 100, waves=7, depth=0.15)).irregularity
    assert found == pytest.approx(length**2 / (4 * np.pi * area), rel=0.03)


@settings(max_examples=20, deadline=None)
@given(turn=st.floats(0, 180), scale=st.floats(0.5, 2))
def test_neither_turning_nor_scaling_changes_the_irregularity(turn: float, scale: float) -> None:
    expected = border(ellipse(200, 70, 35)).irregularity
    turned = border(ellipse(400, 70 * scale, 35 * scale, turn)).irregularity
    assert turned == pytest.approx(expected, rel=0.02)
    notched = border(star(400, 60 * scale, 5, 0.2, turn)).irregularity
    assert notched == pytest.approx(border(star(200, 60, 5, 0.2)).irregularity, rel=0.04)


def test_a_sharp_border_is_abrupt_in_all_eighths_and_a_faded_one_in_none() -> None:
    lesion = disc(240, 60)
    assert border(lesion) == Border(border(lesion).irregularity, abrupt=8, segments=8)
    faded = measure_border(cut_patch(lesion, ramp(lesion, width=24)))  # a fifth of the diameter
    assert (faded.abrupt, faded.segments) == (0, 8)
    sharp = measure_border(cut_patch(lesion, ramp(lesion, width=5)))
    assert sharp.abrupt == 8


def test_a_border_that_is_sharp_on_one_side_counts_that_half() -> None:
    lesion = ellipse(240, 70, 50)
    image = ramp(lesion, width=30)
    image[120:] = picture(lesion)[120:]
    found = measure_border(cut_patch(lesion, image))
    assert (found.abrupt, found.segments) == (4, 8)


def test_an_outline_that_is_a_little_off_finds_the_same_border() -> None:
    lesion = disc(240, 60)
    assert measure_border(cut_patch(disc(240, 64), picture(lesion))).abrupt == 8


def test_what_can_hardly_be_seen_is_not_abrupt() -> None:
    lesion = disc(240, 60)
    assert measure_border(cut_patch(lesion, picture(lesion, colour=(220, 184, 169)))).abrupt == 0


def test_eighths_beyond_the_image_are_not_looked_at() -> None:
    cut = np.roll(ellipse(240, 90, 60), 60, axis=0)
    cut[:60] = False
    found = measure_border(cut_patch(cut, picture(cut)))
    assert 3 <= found.segments <= 6
    assert found.abrupt == found.segments
