"""The preprocessing pipeline: resize, BM3D, CLAHE on lightness.

The paper standardises first (eq. 2) and then denoises. BM3D commutes with an affine map that all channels
share, if sigma is scaled along. So DermaFed denoises and equalises in 8 bits, which can be cached and
shown, and the network standardises in its own first layers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dermafed.shared.imaging.clahe import clahe
from dermafed.shared.imaging.denoise import NEGLIGIBLE_SIGMA, denoise, estimate_noise
from dermafed.shared.imaging.preprocess_settings import PreprocessSettings
from dermafed.shared.imaging.resize import resize

# Part of every cache key: raise it with any change that moves a pixel.
PIPELINE_VERSION = 2


@dataclass(frozen=True, slots=True, eq=False)
class Preprocessed:
    """One preprocessed image.

    Attributes:
        image: RGB (S, S, 3), uint8 in 0-255: the input of an EfficientNet.
        noise_sigma: the noise level after resizing, estimated or as set; 8-bit units.
        denoised: whether denoising was on and the noise was not negligible.
    """

    image: NDArray[np.uint8]
    noise_sigma: float
    denoised: bool


def preprocess(image: NDArray[np.uint8], settings: PreprocessSettings, threads: int = 1) -> Preprocessed:
    """Run every step that `settings` turns on.

    Args:
        image: RGB (H, W, 3), uint8, any size.
        settings: the steps.
        threads: number of threads of BM3D: more for a single image, one each for many images.

    Returns:
        The image that the network gets and that is shown.

    Raises:
        SettingsError: the package ``bm3d`` was chosen but is not installed.
    """
    resized = resize(image, settings.image_size, settings.fit)
    sigma = _noise_level(resized, settings)
    denoised = denoise(resized, sigma, settings.denoise, threads)
    was_denoised = settings.denoise != "none" and sigma >= NEGLIGIBLE_SIGMA
    return Preprocessed(_equalise(denoised, settings), sigma, was_denoised)


def stages(image: NDArray[np.uint8], settings: PreprocessSettings) -> dict[str, NDArray[np.uint8]]:
    """Return the image after each step that is on, in order, to be shown.

    Args:
        image: RGB (H, W, 3), uint8, any size.
        settings: the steps.

    Returns:
        RGB (S, S, 3), uint8, under ``"resized"``, ``"denoised"`` and ``"contrast"``; the last equals
        :func:`preprocess`'s image.

    Raises:
        SettingsError: see :func:`preprocess`.
    """
    resized = resize(image, settings.image_size, settings.fit)
    shown = {"resized": resized}
    denoised = denoise(resized, _noise_level(resized, settings), settings.denoise)
    if settings.denoise != "none":
        shown["denoised"] = denoised
    if settings.clahe:
        shown["contrast"] = _equalise(denoised, settings)
    return shown


def _noise_level(image: NDArray[np.uint8], settings: PreprocessSettings) -> float:
    return estimate_noise(image) if settings.sigma is None else float(settings.sigma)


def _equalise(image: NDArray[np.uint8], settings: PreprocessSettings) -> NDArray[np.uint8]:
    return clahe(image, settings.clahe_clip, settings.clahe_grid) if settings.clahe else image
