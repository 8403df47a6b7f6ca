from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dermafed.shared.lesion_measures.colours import REFERENCES, measure_colours, shown_colours
from dermafed.shared.lesion_measures.patch import cut_patch, to_lab
from dermafed.shared.lesion_measures.white_balance import shades_of_gray
from tests.shared.lesion_measures.shapes import BLUE, BROWN, SKIN, disc, grid, picture


def test_cielab_of_srgb_by_hand() -> None:
    """Values of the CIE's formulas, from sRGB's definition (IEC 61966-2-1)."""
    found = to_lab(np.array([[255, 255, 255], [0, 0, 0], [255, 0, 0], [119, 119, 119]], np.float32))
    expected = [(100, 0, 0), (0, 0, 0), (53.24, 80.09, 67.2), (50.03, 0, 0)]
    np.testing.assert_allclose(found, expected, atol=0.25)


@pytest.mark.parametrize("name", REFERENCES)
def test_a_lesion_of_a_reference_colour_has_that_colour(name: str) -> None:
    lesion = disc(200, 60)
    shares = measure_colours(cut_patch(lesion, picture(lesion, REFERENCES[name])))
    assert list(shares) == list(REFERENCES)
    # A little is mixed with skin at the border.
    assert shares[name] > 0.9
    assert shown_colours(shares) == [name]


def test_a_disc_of_two_colours_has_half_of_each() -> None:
    lesion = disc(200, 60)
    y, _ = grid(200)
    image = picture(lesion, BROWN)
    image[lesion & (y > 0)] = BLUE
    shares = measure_colours(cut_patch(lesion, image))
    assert shares["dark brown"] == pytest.approx(0.5, abs=0.04)
    assert shares["blue-grey"] == pytest.approx(0.5, abs=0.04)
    assert shown_colours(shares) == ["dark brown", "blue-grey"]


def test_a_small_spot_is_not_shown() -> None:
    lesion = disc(200, 60)
    image = picture(lesion, BROWN)
    image[disc(200, 10)] = REFERENCES["black"]
    shares = measure_colours(cut_patch(lesion, image))
    assert shares["black"] == pytest.approx(1 / 36, rel=0.2)
    assert shown_colours(shares) == ["dark brown"]


def test_what_looks_like_the_skin_around_has_no_colour() -> None:
    lesion = disc(200, 60)
    image = picture(lesion, SKIN)
    assert sum(measure_colours(cut_patch(lesion, image)).values()) == 0


def test_white_counts_only_where_it_is_lighter_than_the_skin() -> None:
    lesion = disc(200, 60)
    pale = (225, 225, 228)
    assert measure_colours(cut_patch(lesion, picture(lesion, pale)))["white"] > 0.9
    on_white = picture(lesion, pale, skin=(255, 250, 255))
    assert measure_colours(cut_patch(lesion, on_white))["white"] == 0


def test_without_skin_in_the_image_the_six_remain() -> None:
    everywhere = np.ones((80, 80), bool)
    assert measure_colours(cut_patch(everywhere, picture(everywhere, BROWN)))["dark brown"] == 1


@settings(max_examples=10, deadline=None)
@given(turn=st.floats(0, 360), scale=st.floats(0.5, 2))
def test_neither_turning_nor_scaling_changes_the_shares(turn: float, scale: float) -> None:
    lesion = disc(400, 70 * scale)
    y, _ = grid(400, turn)
    image = picture(lesion, BROWN)
    image[lesion & (y > 30 * scale)] = BLUE
    shares = measure_colours(cut_patch(lesion, image))
    # Of a segment beyond 3/7 of the radius.
    share = (np.arccos(3 / 7) - 3 / 7 * np.sqrt(1 - 9 / 49)) / np.pi
    assert shares["blue-grey"] == pytest.approx(share, abs=0.03)


def test_white_balance_by_hand() -> None:
    image = np.full((8, 8, 3), (200, 100, 50), np.uint8)
    assert shades_of_gray(image)[0, 0].tolist() == [132] * 3, "the root of the mean square of the three"
    gray = np.tile(np.arange(8, dtype=np.uint8)[:, None, None] * 30, (1, 8, 3))
    assert np.array_equal(shades_of_gray(gray), gray)
    assert np.array_equal(shades_of_gray(np.zeros((4, 4, 3), np.uint8)), np.zeros((4, 4, 3)))


def test_white_balance_of_real_colours_by_an_independent_formula() -> None:
    image = np.random.default_rng(0).integers(20, 200, (30, 40, 3), dtype=np.uint8)
    light = np.mean(image.astype(float) ** 6, (0, 1)) ** (1 / 6)
    expected = np.clip(image / (light / np.linalg.norm(light)) / np.sqrt(3), 0, 255)
    assert np.abs(shades_of_gray(image) - expected).max() <= 0.51
