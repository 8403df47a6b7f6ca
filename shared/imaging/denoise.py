"""Estimate an image's noise, and remove it with BM3D (Dabov et al. 2007): eq. (3) of the paper."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from functools import cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from dermafed.shared.errors import SettingsError
from dermafed.shared.imaging.preprocess_settings import Denoise

Denoiser = Callable[[NDArray[np.float32], float, int], NDArray[np.float32]]

# Below one 8-bit level of noise BM3D moves a pixel by two levels at most: not worth its time.
NEGLIGIBLE_SIGMA = 1.0

BM3D_PACKAGE_LICENCE = (
    "The package bm3d (Tampere University) is licensed for non-commercial use only and may not be "
    "redistributed; DermaFed's own engine, denoise='bm3d', has no such limit."
)

# Immerkaer (1996), eq. (4): the difference of two Laplacians, blind to planes and straight edges.
_KERNEL = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)


def estimate_noise(image: NDArray[Any]) -> float:
    """Estimate the standard deviation of additive white noise (Immerkaer 1996, eq. (5)).

    The mean of the channels' estimates: BM3D takes one sigma for the noise in a channel, and luminance,
    an average of channels, would have a third less. Resizing and JPEG smooth noise away, so estimate on
    exactly the image that is to be denoised.

    Args:
        image: (H, W) or (H, W, C), H and W at least 3, uint8 or float32.

    Returns:
        Standard deviation per channel, in the image's own units.
    """
    residual = cv2.filter2D(image.astype(np.float32, copy=False), cv2.CV_32F, _KERNEL)
    inner = residual[1:-1, 1:-1]
    return math.sqrt(math.pi / 2) / 6 * float(np.abs(inner).mean(dtype=np.float64))


def denoise(image: NDArray[np.uint8], sigma: float, method: Denoise, threads: int = 1) -> NDArray[np.uint8]:
    """Denoise an image; noise below ``NEGLIGIBLE_SIGMA`` is left in.

    Args:
        image: RGB (H, W, 3), uint8.
        sigma: the noise's standard deviation per channel, 8-bit units.
        method: the engine. ``"bm3d-package"`` is for non-commercial use only, by its licence.
        threads: number of threads of our own engine; the result does not depend on it.

    Returns:
        RGB (H, W, 3), uint8; `image` itself where there is nothing to do.

    Raises:
        SettingsError: the package ``bm3d`` was chosen but is not installed.
    """
    if method == "none" or sigma < NEGLIGIBLE_SIGMA:
        return image
    estimate = denoiser(method)(image.astype(np.float32), sigma, threads)
    return np.rint(estimate).clip(0, 255).astype(np.uint8)


@cache
def denoiser(method: Denoise) -> Denoiser:
    """Return the engine of a method: a function of a float32 (H, W, 3) image, its sigma, and threads.

    Raises:
        SettingsError: the package ``bm3d`` was chosen but is not installed.
    """
    if method == "bm3d-package":
        return _package_engine()
    from dermafed.shared.imaging.bm3d.bm3d import bm3d_rgb  # imports numba, which most commands never need

    return lambda image, sigma, threads: bm3d_rgb(image, sigma, threads=threads)


def _package_engine() -> Denoiser:
    try:
        import bm3d
    except ImportError as error:
        remedy = "Install it (pip install bm3d; non-commercial use only) or choose denoise='bm3d'"
        raise SettingsError("The package bm3d is not installed", where="denoise", remedy=remedy) from error
    warnings.warn(BM3D_PACKAGE_LICENCE, stacklevel=2)

    def run(image: NDArray[np.float32], sigma: float, threads: int) -> NDArray[np.float32]:
        if np.ptp(image) == 0:  # the package answers a constant image with NaN
            return image
        result: NDArray[np.float32] = bm3d.bm3d_rgb(image, sigma).astype(np.float32)
        return np.where(np.isfinite(result), result, image)

    return run
