from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dermafed.shared.lesion_measures.asymmetry import Asymmetry, measure_asymmetry
from dermafed.shared.lesion_measures.patch import cut_patch
from tests.shared.lesion_measures.shapes import (
    BLACK,
    BROWN,
    Mask,
    disc,
    ellipse,
    grid,
    half_disc,
    picture,
    square,
)

# CIELAB by hand, from sRGB by IEC 61966-2-1 and the white of D65.
GRAYS = {(50, 50, 50): 20.79, (150, 150, 150): 62.06}


def asymmetry(lesion: Mask) -> Asymmetry:
    return measure_asymmetry(cut_patch(lesion, picture(lesion)))


def half_disc_about_its_middle() -> float:
    """The share without a counterpart about the axis through a half disc's centre of area, at 4 / (3 pi).

    Beyond the axis, the part up to twice the distance has a counterpart: its width is that of the disc.
    """
    y = 4 / (3 * np.pi)

    def up_to(height: float) -> float:
        return float(height * np.sqrt(1 - height**2) + np.arcsin(height))

    return 1 - 2 * (up_to(2 * y) - up_to(y)) / (np.pi / 2)


@pytest.mark.parametrize("lesion", [disc(200, 60), ellipse(200, 70, 40), ellipse(200, 70, 40, 33)])
def test_shapes_with_two_axes_are_symmetric(lesion: Mask) -> None:
    found = asymmetry(lesion)
    assert max(found.shape) < 0.02
    assert max(found.colour) < 1


@pytest.mark.parametrize("turn", [0, 10, 45])
def test_a_square_whose_long_axis_is_any_is_nearly_symmetric(turn: float) -> None:
    assert max(asymmetry(square(240, 50, turn)).shape) < 0.04


@pytest.mark.parametrize("turn", [0, 30, 111])
def test_a_half_disc_is_symmetric_about_one_axis_only(turn: float) -> None:
    assert half_disc_about_its_middle() == pytest.approx(0.1853, abs=1e-4)
    found = asymmetry(half_disc(240, 80, turn))
    assert found.shape == pytest.approx((0, half_disc_about_its_middle()), abs=0.015)


def test_a_disc_of_two_grays_differs_in_lightness_about_one_axis() -> None:
    lesion = disc(240, 80)
    y, _ = grid(240)
    dark, light = GRAYS
    image = picture(lesion, dark)
    image[lesion & (y > 0)] = light
    found = measure_asymmetry(cut_patch(lesion, image))
    assert max(found.shape) < 0.02
    assert found.colour[0] < 1
    # Less by what mixes where the colours meet, a few hundredths of the diameter wide.
    assert found.colour[1] == pytest.approx(GRAYS[light] - GRAYS[dark], rel=0.1)


@settings(max_examples=15, deadline=None)
@given(turn=st.floats(0, 360), scale=st.floats(0.6, 2))
def test_neither_turning_nor_scaling_changes_it(turn: float, scale: float) -> None:
    def pear(side: int, size: float, turned: float) -> Asymmetry:
        y, x = grid(side, turned)
        lesion = np.asarray((x / (size * (1 + y / size / 3))) ** 2 + (y / size / 1.4) ** 2 <= 1)
        image = picture(lesion, BROWN)
        image[lesion & (y > size / 2)] = BLACK
        return measure_asymmetry(cut_patch(lesion, image))

    one, other = pear(240, 50, 0), pear(400, 50 * scale, turn)
    assert other.shape == pytest.approx(one.shape, abs=0.03)
    assert other.colour == pytest.approx(one.colour, abs=1.5)


def test_a_notch_on_one_side_counts() -> None:
    lesion = disc(240, 80) & ~np.roll(disc(240, 30), 80, axis=1)
    found = asymmetry(lesion)
    assert found.shape[0] < 0.02
    assert found.shape[1] > 0.04
