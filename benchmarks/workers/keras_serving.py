"""A diagnosis of a JPEG as written with Keras and OpenCV: DENOISER (``bm3d``, ``none``) SIDE JPEG COUNT.

In one process, without a network, a check of the file, or anything on the disk: only the work.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import cv2
import numpy as np

from benchmarks.workers.answering import answer

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
SIGMA = 1.0  # about the noise of a photograph after resizing


def prepare() -> Callable[[], dict[str, float]]:
    import keras

    denoiser, side, path, count = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4])
    network = keras.applications.EfficientNetB0(weights=None, classes=3, input_shape=(side, side, 3))
    equaliser = cv2.createCLAHE(2.0, (8, 8))

    def diagnose(jpeg: bytes) -> None:
        image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
        image = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
        if denoiser == "bm3d":
            import bm3d

            image = np.rint(bm3d.bm3d_rgb(image.astype(np.float32), SIGMA)).clip(0, 255).astype(np.uint8)
        lab = cv2.cvtColor(image, cv2.COLOR_BGR2LAB)
        lab[..., 0] = equaliser.apply(lab[..., 0])
        pixels = cv2.cvtColor(lab, cv2.COLOR_LAB2RGB).astype(np.float32)
        network.predict(pixels[None], verbose=0)

    def measure() -> dict[str, float]:
        seconds, jpeg = [], path.read_bytes()
        for _ in range(count):
            start = perf_counter()
            diagnose(jpeg)
            seconds.append(perf_counter() - start)
        return {"seconds, p95": float(np.quantile(seconds, 0.95))}

    diagnose(path.read_bytes())
    return measure


if __name__ == "__main__":
    answer(prepare)
