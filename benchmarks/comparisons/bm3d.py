"""BM3D and CLAHE of an image of 224 pixels: ours on all cores, the package bm3d, and VapourSynth-BM3D.

The peers' CLAHE is OpenCV's. The package's licence allows non-commercial use only; VapourSynth gives one core
to an image. Noise of sigma 15 is added, which all are told. The difference of the PSNR is that of the
denoised image, before CLAHE.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from time import perf_counter

import numpy as np

from benchmarks.bm3d import noisy, package, psnr
from benchmarks.comparisons import Place
from benchmarks.measuring import Figures, Goal, Way
from benchmarks.peers import VAPOURSYNTH, VAPOURSYNTH_PYTHONS, PeerMissing, environment, worker
from benchmarks.pictures import pictures
from dermafed.shared.imaging.bm3d.bm3d import bm3d_rgb
from dermafed.shared.imaging.clahe import clahe

SIDE, SIGMA = 224, 15
AT_LEAST_SECONDS = 0.5  # of a turn: the first image after another program's takes longer
SECONDS, WORSE = "seconds an image", "dB below the peer"
WORSE_THAN_VAPOURSYNTH = "dB below VapourSynth-BM3D"
OURS, PACKAGE, VAPOUR = "BM3D + CLAHE", "bm3d + CLAHE", "VapourSynth-BM3D + CLAHE"
GOALS = (
    Goal(SECONDS, OURS, PACKAGE, 100),
    Goal(SECONDS, OURS, VAPOUR),
    Goal(WORSE, OURS, limit=0.3),
    Goal(WORSE_THAN_VAPOURSYNTH, OURS, limit=0.3),
)
SLOW = False


@contextmanager
def ways(place: Place) -> Iterator[Mapping[str, Way]]:
    """All, on one image."""
    clean = pictures(place, 1, SIDE)[0].astype(np.float32) / np.float32(255)
    image, threads = noisy(clean, SIGMA, 0), os.cpu_count() or 1
    engines = {OURS: lambda image, sigma: bm3d_rgb(image, sigma, threads=threads)}
    if "package" in (installed := package()):
        engines[PACKAGE] = installed["package"]
    else:
        place.note("bm3d is not installed: pip install bm3d (non-commercial use only)")
    quality = {name: psnr(denoise(image, SIGMA / 255), clean) for name, denoise in engines.items()}
    nan = float("nan")

    def way(name: str) -> Figures:
        start, images, took = perf_counter(), 0, 0.0
        while took < AT_LEAST_SECONDS:
            denoised = engines[name](image, SIGMA / 255)
            clahe(np.rint(255 * denoised).clip(0, 255).astype(np.uint8), 2.0, 8)
            images, took = images + 1, perf_counter() - start
        return {
            SECONDS: took / images,
            WORSE: quality.get(PACKAGE, nan) - quality[OURS],
            WORSE_THAN_VAPOURSYNTH: quality.get(VAPOUR, nan) - quality[OURS],
        }

    found: dict[str, Way] = {name: partial(way, name) for name in engines}
    with ExitStack() as stack:
        try:
            python = environment(*VAPOURSYNTH, pythons=VAPOURSYNTH_PYTHONS)
            files = place.folder / "noisy.npy", place.folder / "denoised.npy"
            np.save(files[0], image)
            found[VAPOUR] = stack.enter_context(worker("vapoursynth_bm3d", *files, SIGMA, python=python))
            quality[VAPOUR] = psnr(np.load(files[1]), clean)
        except PeerMissing as error:
            place.note(str(error))
        yield found
