"""Stability: correlation of the map with that of a shifted, noisy or recompressed image."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from dermafed.shared.explain.maps import Explain, Heatmap, Image, checked_heatmap
from dermafed.shared.imaging.decoding import decode_image

SHIFT = 28
"""The image moves by its side / ``SHIFT`` to the right and down: 8 pixels of 224."""

NOISE_SIGMA = 5.0
"""Standard deviation of the added white Gaussian noise, of 255."""

JPEG_QUALITY = 75

_CONSTANT = 1e-6  # a standard deviation that is float32's rounding rather than a map's


@dataclass(frozen=True, slots=True)
class Stability:
    """Pearson correlations in [-1, 1] of the image's map with that of its changed form; 1 is best."""

    shift: float
    noise: float
    jpeg: float


def stability(explain: Explain, image: Image, heatmap: Heatmap, target: int, *, seed: int = 0) -> Stability:
    """Explain three changed forms of an image: shifted, noisy, compressed once more.

    The shifted image's map is shifted back, and compared where both saw the same pixels.

    Args:
        explain: the method; called three times.
        image: uint8 (S, S, 3).
        heatmap: the method's map of the image itself, float32 (S, S) in [0, 1].
        target: index of the class, the same for all.
        seed: seed of the noise.

    Raises:
        ValueError: a map does not fit the image.
    """
    step = max(1, image.shape[0] // SHIFT)

    def changed_map(changed: Image) -> Heatmap:
        return checked_heatmap(explain(changed, target), changed)

    return Stability(
        shift=correlation(heatmap[:-step, :-step], changed_map(shifted(image, step))[step:, step:]),
        noise=correlation(heatmap, changed_map(noisy(image, seed))),
        jpeg=correlation(heatmap, changed_map(recompressed(image))),
    )


def correlation(first: Heatmap, second: Heatmap) -> float:
    """Pearson's r of two maps.

    Returns:
        r in [-1, 1]; 0 if either map is constant, since a constant map must not count as stable.
    """
    a, b = (np.ravel(heatmap).astype(np.float64) for heatmap in (first, second))
    if min(a.std(), b.std()) < _CONSTANT:
        return 0.0
    return float(np.clip(np.corrcoef(a, b)[0, 1], -1, 1))


def shifted(image: Image, step: int) -> Image:
    """The image moved right and down by ``step`` pixels; the gap mirrors the image."""
    widened = cv2.copyMakeBorder(image, step, 0, step, 0, cv2.BORDER_REFLECT_101)
    return np.asarray(widened[:-step, :-step], np.uint8)


def noisy(image: Image, seed: int) -> Image:
    """The image with white Gaussian noise of :data:`NOISE_SIGMA`."""
    noise: NDArray[np.float64] = np.random.default_rng(seed).normal(0, NOISE_SIGMA, image.shape)
    return np.clip(np.rint(image + noise), 0, 255).astype(np.uint8)


def recompressed(image: Image) -> Image:
    """The image after JPEG of :data:`JPEG_QUALITY`."""
    bgr = np.ascontiguousarray(image[..., ::-1])
    _, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return decode_image(data.tobytes())
