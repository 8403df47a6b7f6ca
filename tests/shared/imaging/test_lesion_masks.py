"""Masks follow their photographs; those without a lesion, or of another photograph, are not used."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from dermafed.shared.errors import ImageError
from dermafed.shared.imaging.lesion_masks import lesion_mask, usable_mask
from dermafed.shared.imaging.preprocess_settings import PreprocessSettings

SETTINGS = PreprocessSettings(image_size=32, clahe_grid=4)


def write(path: Path, height: int, width: int, white_from: int) -> Path:
    picture = np.zeros((height, width), np.uint8)
    picture[:, white_from:] = 255
    cv2.imwrite(str(path), picture)
    return path


def test_a_mask_is_cropped_as_its_photograph(tmp_path: Path) -> None:
    mask = lesion_mask(write(tmp_path / "mask.png", 40, 60, 30), SETTINGS)
    np.testing.assert_array_equal(mask, np.broadcast_to(np.arange(32) >= 16, (32, 32)))


def test_a_smaller_mask_of_the_same_proportions_is_used(tmp_path: Path) -> None:
    photograph = write(tmp_path / "photograph.png", 400, 600, 0)
    mask = usable_mask(photograph, write(tmp_path / "mask.png", 40, 60, 30), SETTINGS)
    assert mask is not None
    np.testing.assert_array_equal(mask, np.broadcast_to(np.arange(32) >= 16, (32, 32)))


def test_a_mask_of_other_proportions_is_not_used(tmp_path: Path) -> None:
    photograph = write(tmp_path / "photograph.png", 400, 600, 0)
    assert usable_mask(photograph, write(tmp_path / "mask.png", 40, 40, 30), SETTINGS) is None


def test_a_mask_without_a_lesion_in_the_frame_is_not_used(tmp_path: Path) -> None:
    photograph = write(tmp_path / "photograph.png", 40, 60, 0)
    assert usable_mask(photograph, write(tmp_path / "black.png", 40, 60, 60), SETTINGS) is None
    # The frame is the middle 40 x 40 pixels; this lesion lies to its right.
    assert usable_mask(photograph, write(tmp_path / "side.png", 40, 60, 55), SETTINGS) is None


def test_a_photograph_on_its_side_has_the_proportions_that_people_see(tmp_path: Path) -> None:
    picture, tags = Image.fromarray(np.zeros((40, 60), np.uint8)), Image.Exif()
    tags[0x0112] = 6  # the camera was turned by 90 degrees
    picture.save(tmp_path / "photograph.jpg", exif=tags)
    upright = usable_mask(tmp_path / "photograph.jpg", write(tmp_path / "mask.png", 60, 40, 20), SETTINGS)
    assert upright is not None
    lying = write(tmp_path / "lying.png", 40, 60, 20)
    assert usable_mask(tmp_path / "photograph.jpg", lying, SETTINGS) is None


def test_a_file_that_is_no_image_is_named(tmp_path: Path) -> None:
    (tmp_path / "mask.png").write_text("no image")
    with pytest.raises(ImageError, match=r"mask\.png"):
        usable_mask(write(tmp_path / "photograph.png", 40, 60, 0), tmp_path / "mask.png", SETTINGS)
