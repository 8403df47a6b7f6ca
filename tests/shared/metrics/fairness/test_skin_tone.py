from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from dermafed.shared.imaging.decoding import read_image
from dermafed.shared.metrics.fairness.skin_tone import THIRDS, thirds, tone, typology_angle
from tests.commands.small_datasets import HAM, needs_real_images

FAIR, DARK = (225, 190, 170), (95, 62, 45)


def skin(colour: tuple[int, int, int], side: int = 120) -> NDArray[np.uint8]:
    return np.full((side, side, 3), colour, np.uint8)


def with_lesion(image: NDArray[np.uint8], radius: int) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """A dark brown disc in the middle, and its mask."""
    rows, columns = np.ogrid[: image.shape[0], : image.shape[1]]
    mask = (rows - image.shape[0] / 2) ** 2 + (columns - image.shape[1] / 2) ** 2 < radius**2
    return np.where(mask[..., None], np.uint8([60, 35, 25]), image), mask


def expected_angle(colour: tuple[int, int, int]) -> float:
    """IEC 61966-2-1 and CIE 15, D65, with Python's floats."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (v / 255 for v in colour)]
    luminance = 0.212639 * linear[0] + 0.715169 * linear[1] + 0.072192 * linear[2]
    blue = (0.019331 * linear[0] + 0.119195 * linear[1] + 0.950532 * linear[2]) / 1.089058
    root = [
        v ** (1 / 3) if v > (6 / 29) ** 3 else v / (3 * (6 / 29) ** 2) + 4 / 29 for v in (luminance, blue)
    ]
    return math.degrees(math.atan2(116 * root[0] - 16 - 50, 200 * (root[0] - root[1])))


@pytest.mark.parametrize("colour", [FAIR, DARK, (180, 140, 110), (210, 200, 215)])
def test_the_angle_is_that_of_the_skins_colour(colour: tuple[int, int, int]) -> None:
    # OpenCV interpolates the conversion in a table.
    assert typology_angle(skin(colour)) == pytest.approx(expected_angle(colour), abs=0.5)


def test_bluish_light_does_not_turn_fair_skin_into_dark() -> None:
    # b* is negative: the arctangent of the quotient would be near -70 degrees, "dark".
    angle = typology_angle(skin((210, 200, 215)))
    assert angle is not None
    assert tone(angle) == "very light"


@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("radius", [10, 30, 45])
def test_the_lesion_does_not_count(masked: bool, radius: int) -> None:
    image, mask = with_lesion(skin(FAIR), radius)
    found = typology_angle(image, mask if masked else None)
    assert found == pytest.approx(expected_angle(FAIR), abs=1.0)


def test_neither_do_black_corners_hairs_and_glare() -> None:
    image, mask = with_lesion(skin(FAIR), 25)
    rows, columns = np.ogrid[:120, :120]
    image[(rows - 60) ** 2 + (columns - 60) ** 2 > 70**2] = 0
    image[:, ::20] = (30, 20, 15)
    image[::25] = 255
    assert typology_angle(image, mask) == pytest.approx(expected_angle(FAIR), abs=1.5)


def test_a_mask_of_another_size_is_of_the_same_view() -> None:
    image, _ = with_lesion(skin(FAIR, 120), 40)
    _, mask = with_lesion(skin(FAIR, 480), 160)
    assert typology_angle(image, mask) == pytest.approx(expected_angle(FAIR), abs=1.0)


def test_without_skin_there_is_no_angle() -> None:
    assert typology_angle(skin(FAIR), np.ones((120, 120), bool)) is None
    assert typology_angle(np.zeros((50, 70, 3), np.uint8)) is None


def test_classes_begin_where_chardon_puts_them() -> None:
    edges = {-30: "brown", 10: "tan", 28: "intermediate", 41: "light", 55: "very light"}
    assert [tone(edge) for edge in edges] == list(edges.values())
    assert [tone(edge - 0.1) for edge in edges] == ["dark", "brown", "tan", "intermediate", "light"]
    assert tone(180) == "very light"


@given(st.lists(st.floats(-180, 180), min_size=3, max_size=60, unique=True))
def test_thirds_are_in_order_and_none_is_missed(angles: list[float]) -> None:
    found = thirds(np.array([*angles, np.nan]))
    assert found[-1] is None
    ranked = [THIRDS.index(name) for _, name in sorted(zip(angles, found, strict=False)) if name]
    assert len(ranked) == len(angles)
    assert ranked == sorted(ranked)


def test_thirds_are_equally_large() -> None:
    found = thirds(np.random.default_rng(0).permutation(12).astype(float))
    assert [found.count(name) for name in THIRDS] == [4, 4, 4]
    assert thirds(np.array([np.nan])) == [None]


@needs_real_images
def test_without_masks_real_images_have_nearly_the_angles_with_them() -> None:
    differences = []
    for path in sorted((HAM / "images").glob("*.jpg"))[::60]:
        image, mask = read_image(path), read_image(HAM / "masks" / f"{path.stem}.png")[..., 0] > 127
        pair = typology_angle(image, mask), typology_angle(image)
        if mask.mean() < 0.6 and None not in pair:
            differences.append(np.subtract(*pair))
    assert len(differences) > 50
    assert np.median(np.abs(differences)) < 2
