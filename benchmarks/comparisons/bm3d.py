"""BM3D and CLAHE of an image of 224 pixels: ours on all cores, and the package bm3d with OpenCV's CLAHE.

The package's licence allows non-commercial use only. Noise of sigma 15 is added, which both are told. The
difference of the PSNR is that of the denoised image, before CLAHE.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from time import perf_counter

import numpy as np

from benchmarks.bm3d import noisy, package, psnr
from benchmarks.comparisons import Place
from benchmarks.measuring import Figures, Goal, Way
from benchmarks.pictures import pictures
from dermafed.shared.imaging.bm3d.bm3d import bm3d_rgb
from dermafed.shared.imaging.clahe import clahe

SIDE, SIGMA = 224, 15
SECONDS, WORSE = "seconds an image", "dB below the peer"
GOALS = (
    Goal(SECONDS, "BM3D + CLAHE", "bm3d + CLAHE", 100),
    Goal(WORSE, "BM3D + CLAHE", limit=0.3),
)
SLOW = False


@contextmanager
def ways(place: Place) -> Iterator[Mapping[str, Way]]:
    """Both, on one image."""
    clean = pictures(place, 1, SIDE)[0].astype(np.float32) / np.float32(255)
    image, threads = noisy(clean, SIGMA, 0), os.cpu_count() or 1
    engines = {"ours": lambda image, sigma: bm3d_rgb(image, sigma, threads=threads), **package()}
    if "package" not in engines:
        place.note("bm3d is not installed: pip install bm3d (non-commercial use only)")
    quality = {name: psnr(denoise(image, SIGMA / 255), clean) for name, denoise in engines.items()}
    worse = {WORSE: quality["package"] - quality["ours"]} if "package" in quality else {WORSE: float("nan")}

    def way(name: str) -> Figures:
        start = perf_counter()
        denoised = engines[name](image, SIGMA / 255)
        clahe(np.rint(255 * denoised).clip(0, 255).astype(np.uint8), 2.0, 8)
        return {SECONDS: perf_counter() - start, **worse}

    names = {"ours": "BM3D + CLAHE", "package": "bm3d + CLAHE"}
    yield {names[name]: lambda name=name: way(name) for name in engines}  # type: ignore[misc]
