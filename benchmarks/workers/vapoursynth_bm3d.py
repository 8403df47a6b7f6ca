"""VapourSynth-BM3D and OpenCV's CLAHE: NOISY.npy DENOISED.npy SIGMA, of 255; an image a measurement.

Its profile ``np`` is that of the published method; its faster ones lose half a decibel and more. Every core
may work, but VapourSynth gives one to an image. The denoised image is written once, for its PSNR.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from time import perf_counter

import cv2
import numpy as np
import vapoursynth
from numpy.typing import NDArray

from benchmarks.workers.answering import answer

Image = NDArray[np.float32]
OPPONENT = 100  # the colour space in which it finds its blocks


def bm3d(image: Image, sigma: float) -> Image:
    """The image without noise: RGB in [0, 1], float32 (H, W, 3)."""
    core = vapoursynth.core
    height, width, _ = image.shape
    empty = core.std.BlankClip(width=width, height=height, format=vapoursynth.RGBS, length=1)

    def fill(n: int, f: vapoursynth.VideoFrame) -> vapoursynth.VideoFrame:
        filled = f.copy()
        for channel in range(3):
            np.copyto(np.asarray(filled[channel]), image[..., channel])
        return filled

    how = {"sigma": [sigma] * 3, "profile": "np", "matrix": OPPONENT}
    opponent = core.bm3d.RGB2OPP(core.std.ModifyFrame(empty, empty, fill), sample=1)
    final = core.bm3d.Final(opponent, core.bm3d.Basic(opponent, **how), **how)
    frame = core.bm3d.OPP2RGB(final, sample=1).get_frame(0)
    return np.stack([np.asarray(frame[channel]) for channel in range(3)], axis=-1)


def prepare() -> Callable[[], dict[str, float]]:
    noisy, sigma = np.load(sys.argv[1]), float(sys.argv[3])
    np.save(sys.argv[2], bm3d(noisy, sigma))
    equaliser = cv2.createCLAHE(2.0, (8, 8))

    def measure() -> dict[str, float]:
        start = perf_counter()
        pixels = np.rint(255 * bm3d(noisy, sigma)).clip(0, 255).astype(np.uint8)
        lab = cv2.cvtColor(pixels, cv2.COLOR_RGB2LAB)
        lab[..., 0] = equaliser.apply(lab[..., 0])
        cv2.cvtColor(lab, cv2.COLOR_LAB2RGB)
        return {"seconds an image": perf_counter() - start}

    return measure


if __name__ == "__main__":
    answer(prepare)
