"""Cautions: drawn faults are found, and good dermoscopic images have few."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from dermafed.client.clinic.intake.quality import TEXTS, assess
from dermafed.shared.imaging.decoding import read_image
from tests.shared.imaging.real_images import ham_paths, needs_real_images


def lesion(side: int = 300) -> NDArray[np.uint8]:
    """A lesion on rough skin, as sharp as a camera makes it."""
    rough = np.random.default_rng(0).normal(0, 9, (side, side, 1))
    image = np.full((side, side, 3), (225, 185, 165), np.float64)
    cv2.circle(image, (side // 2, side // 2), side // 6, (120, 75, 50), -1)
    return np.clip(cv2.GaussianBlur(image + rough, (0, 0), 0.8), 0, 255).astype(np.uint8)


def codes(image: NDArray[np.uint8]) -> set[str]:
    return {caution.code for caution in assess(image)}


def test_a_good_picture_has_no_caution() -> None:
    assert codes(lesion()) == set()


def with_ruler(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    cv2.line(image, (40, 260), (260, 260), (40, 40, 40), 1)
    for x in range(40, 261, 8):
        cv2.line(image, (x, 260), (x, 252), (40, 40, 40), 1)
    return image


def with_hair(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    for start in range(10, 300, 20):
        cv2.ellipse(image, (start, 400), (60, 390), 0, 180, 250, (50, 30, 20), 2)
    return image


def with_ink(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    cv2.ellipse(image, (150, 150), (120, 100), 0, 20, 160, (90, 50, 170), 4)
    return image


@pytest.mark.parametrize(
    ("image", "code"),
    [
        (lesion(200), "small"),
        (cv2.GaussianBlur(lesion(), (0, 0), 4), "blur"),
        ((lesion() * 0.4).astype(np.uint8), "dark"),
        (np.clip(lesion() * 1.6, 0, 255).astype(np.uint8), "bright"),
        (np.repeat(lesion()[..., :1], 3, axis=2), "gray"),
        (with_ink(lesion()), "ink"),
        (with_ruler(lesion()), "ruler"),
        (with_hair(lesion()), "hair"),
    ],
)
def test_each_defect_is_found(image: NDArray[np.uint8], code: str) -> None:
    assert code in codes(image)


def test_a_blue_lesion_is_not_ink() -> None:
    image = lesion()
    cv2.circle(image, (150, 150), 60, (60, 60, 140), -1)
    assert "ink" not in codes(image)


@pytest.mark.parametrize("size", [(32, 32), (32, 2000), (257, 511), (1024, 1536)])
def test_any_size_is_assessed(size: tuple[int, int]) -> None:
    noise = np.random.default_rng(2).integers(0, 256, (*size, 3), dtype=np.uint8)
    assert codes(noise) <= set(TEXTS)


@needs_real_images
def test_blur_is_found_on_real_images_with_few_false_alarms() -> None:
    images = [read_image(path) for path in ham_paths(100)]
    assert sum("blur" in codes(image) for image in images) <= 2
    for sigma in (2, 3, 6):
        blurred = [np.asarray(cv2.GaussianBlur(image, (0, 0), sigma)) for image in images]
        assert sum("blur" in codes(image) for image in blurred) >= 95
