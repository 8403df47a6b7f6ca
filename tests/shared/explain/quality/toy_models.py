"""Predictors, explainers and images whose measures are known."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from dermafed.shared.explain.maps import Explain, Heatmap, Image

SIDE = 8
QUADRANT = np.s_[: SIDE // 2, : SIDE // 2]


def white() -> Image:
    return np.full((SIDE, SIDE, 3), 255, np.uint8)


def checkerboard() -> Image:
    rows, columns = np.indices((SIDE, SIDE))
    return np.repeat(((rows + columns) % 2 * 255).astype(np.uint8)[..., None], 3, axis=2)


def random_image(seed: int, side: int = SIDE) -> Image:
    return np.random.default_rng(seed).integers(0, 256, (side, side, 3)).astype(np.uint8)


def on_quadrant() -> Heatmap:
    heatmap = np.zeros((SIDE, SIDE), np.float32)
    heatmap[QUADRANT] = 1
    return heatmap


def two_classes(scores: NDArray[np.floating]) -> NDArray[np.float32]:
    return np.stack([scores, 1 - scores], axis=1).astype(np.float32)


def redness(images: NDArray[np.float32]) -> NDArray[np.float32]:
    """Class 0 is as probable as the upper left quadrant is red."""
    return two_classes(images[:, *QUADRANT, 0].mean(axis=(1, 2)) / 255)


def darkness(image: Image, target: int) -> Heatmap:
    """Dark is important: every pixel for itself, so it moves with the image."""
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
    return np.asarray(1 - gray if target == 0 else gray)


def centred(image: Image, target: int) -> Heatmap:
    """A Gaussian in the middle, whatever the image."""
    height, width = image.shape[:2]
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    return np.asarray(np.exp(-(x**2 + y**2) / 0.5), np.float32)


def edges(image: Image, target: int) -> Heatmap:
    """Sobel's edges, whatever the class."""
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    size = np.hypot(cv2.Sobel(gray, cv2.CV_32F, 1, 0), cv2.Sobel(gray, cv2.CV_32F, 0, 1))
    return np.asarray(size / max(float(size.max()), 1.0), np.float32)


def constant(value: float) -> Explain:
    return lambda image, target: np.full(image.shape[:2], value, np.float32)
