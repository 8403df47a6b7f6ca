"""Outlines of drawn lesions: exact where the colours tell, whole, and none where there is none."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dermafed.shared.lesion_finder.outline import Nothing, outline, pixel_shares

SIDE, GRID = 192, 24
SKIN, LESION = (224, 172, 150), (110, 60, 40)


def disc(radius: float, centre: tuple[float, float] = (96, 96)) -> np.ndarray:
    y, x = np.mgrid[:SIDE, :SIDE]
    return np.asarray(np.hypot(x - centre[0], y - centre[1]) <= radius)


def shares_of(mask: np.ndarray) -> np.ndarray:
    return cv2.resize(mask.astype(np.float32), (GRID, GRID), interpolation=cv2.INTER_AREA)


def picture(mask: np.ndarray, noise: float = 0) -> np.ndarray:
    colours = np.where(mask[..., None], LESION, SKIN).astype(np.float64)
    drawn = colours + np.random.default_rng(0).normal(0, noise, colours.shape)
    return np.clip(drawn, 0, 255).astype(np.uint8)


def plain() -> np.ndarray:
    return np.full((SIDE, SIDE, 3), SKIN, np.uint8)


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / (a | b).sum())


@settings(max_examples=25)
@given(st.floats(12, 70), st.floats(80, 112), st.floats(80, 112))
def test_a_disc_is_outlined(radius: float, x: float, y: float) -> None:
    lesion = disc(radius, (x, y))
    found = outline(shares_of(lesion), picture(lesion, noise=8))
    assert (found.found, found.nothing, found.lesions) == (True, None, 1)
    assert (found.region.shape, found.region.dtype) == ((SIDE, SIDE), np.bool_)
    assert overlap(found.region, lesion) > 0.9


def test_the_colours_mend_cells_that_are_half_right() -> None:
    lesion = disc(40)
    shifted = shares_of(np.roll(lesion, 8, axis=1))
    mended, plainly = outline(shifted, picture(lesion)).region, outline(shifted, plain()).region
    assert overlap(mended, lesion) > overlap(plainly, lesion) + 0.05


def test_without_colours_the_cells_alone_count() -> None:
    shares = shares_of(disc(40))
    large = cv2.resize(shares, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    np.testing.assert_allclose(pixel_shares(shares, plain()), large, atol=1e-6)


def test_holes_are_filled_and_only_the_largest_region_is_outlined() -> None:
    ring = disc(50, (120, 96)) & ~disc(20, (120, 96))
    other = disc(18, (30, 30))
    found = outline(shares_of(ring | other), picture(ring | other))
    assert overlap(found.region, disc(50, (120, 96))) > 0.9
    assert found.lesions == 2


def test_a_speck_beside_a_lesion_is_no_second_lesion() -> None:
    both = disc(50, (120, 96)) | disc(5, (20, 20))
    assert outline(shares_of(both), picture(both)).lesions == 1


@pytest.mark.parametrize(
    ("shares", "why"),
    [
        (np.full((GRID, GRID), 0.69, np.float32), Nothing.NO_CELL),
        (np.zeros((GRID, GRID), np.float32), Nothing.NO_CELL),
        (np.ones((GRID, GRID), np.float32), Nothing.EVERYTHING),
        (np.eye(1, GRID * GRID, 300, dtype=np.float32).reshape(GRID, GRID), Nothing.SMALL),
    ],
)
def test_nothing_is_a_result_with_a_reason(shares: np.ndarray, why: Nothing) -> None:
    found = outline(shares, plain())
    assert (found.found, found.nothing, found.lesions) == (False, why, 0)
    assert not found.region.any()


def test_a_lesion_to_the_edges_of_the_image_has_an_outline() -> None:
    lesion = disc(110)
    found = outline(shares_of(lesion), picture(lesion))
    assert 0.85 < lesion.mean() < 0.95
    assert overlap(found.region, lesion) > 0.95
