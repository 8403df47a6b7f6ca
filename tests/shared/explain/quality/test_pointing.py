"""The pointing game, by hand and against real lesion masks."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dermafed.shared.explain.quality.pointing import energy_pointing, lesion_mask
from dermafed.shared.imaging.decoding import read_image
from dermafed.shared.imaging.preprocess_settings import PreprocessSettings
from dermafed.shared.imaging.resize import resize
from tests.paths import SHARED
from tests.shared.explain.quality.making import darkness

HAM = SHARED / "data" / "ham10000"


def quarter() -> np.ndarray:
    mask = np.zeros((4, 4), bool)
    mask[:2, :2] = True
    return mask


def test_energy_by_hand() -> None:
    heatmap = np.full((4, 4), 0.25, np.float32)
    heatmap[:2, :2] = 1
    found = energy_pointing(heatmap, quarter())
    assert found.energy == 4 / 7
    assert found.chance == 1 / 4
    assert found.gain == 4 / 7 - 1 / 4


@given(st.floats(2**-10, 1, width=32), st.integers(1, 16))
def test_a_constant_map_gets_the_lesions_share(value: float, size: int) -> None:
    mask = np.arange(16).reshape(4, 4) < size
    found = energy_pointing(np.full((4, 4), value, np.float32), mask)
    assert found.energy == pytest.approx(size / 16)
    assert found.gain == pytest.approx(0, abs=1e-12)


def test_a_map_without_energy_gets_chance_level() -> None:
    assert energy_pointing(np.zeros((4, 4), np.float32), quarter()).gain == 0


@pytest.mark.parametrize("mask", [np.zeros((4, 4), bool), np.ones((3, 4), bool), np.ones((4, 4), np.uint8)])
def test_masks_that_cannot_be(mask: np.ndarray) -> None:
    with pytest.raises(ValueError, match="is no lesion"):
        energy_pointing(np.ones((4, 4), np.float32), mask)


def test_a_mask_is_cropped_as_its_photograph(tmp_path: Path) -> None:
    photograph = np.zeros((40, 60), np.uint8)
    photograph[:, 30:] = 255
    cv2.imwrite(str(tmp_path / "mask.png"), photograph)
    mask = lesion_mask(tmp_path / "mask.png", PreprocessSettings(image_size=32, clahe_grid=4))
    np.testing.assert_array_equal(mask, np.broadcast_to(np.arange(32) >= 16, (32, 32)))


@pytest.mark.skipif(not HAM.is_dir(), reason="the real images are not beside the checkout")
def test_darkness_points_at_real_lesions() -> None:
    settings = PreprocessSettings(image_size=96, clahe_grid=4)
    found = []
    for path in sorted((HAM / "masks").glob("*.png"))[:12]:
        mask = lesion_mask(path, settings)
        image = resize(read_image(HAM / "images" / f"{path.stem}.jpg"), 96, settings.fit)
        found.append(energy_pointing(darkness(image, 0), mask))
        assert energy_pointing(mask.astype(np.float32), mask).energy == 1
        assert 0 < found[-1].chance < 1
    assert np.mean([pointing.gain for pointing in found]) > 0.02
