"""Keras' own ``fit`` of EfficientNetB0 on IMAGES.npy: a pass a measurement, AdamW, batches of 16.

Without XLA, with which Keras trains several times slower on a CPU.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from time import perf_counter

import numpy as np

from benchmarks.workers.answering import answer

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
BATCH, CLASSES = 16, 3
SECOND = "images a second"


def prepare() -> Callable[[], dict[str, float]]:
    import keras

    pixels = np.load(sys.argv[1])
    images, labels = pixels.astype(np.float32), np.arange(len(pixels)) % CLASSES
    network = keras.applications.EfficientNetB0(
        weights=None, classes=CLASSES, input_shape=tuple(pixels.shape[1:])
    )
    network.compile(keras.optimizers.AdamW(1e-3), "sparse_categorical_crossentropy", jit_compile=False)

    def fit(count: int) -> dict[str, float]:
        start = perf_counter()
        network.fit(images[:count], labels[:count], batch_size=BATCH, verbose=0)
        rate = count / (perf_counter() - start)
        return {SECOND: rate, f"{SECOND}, later rounds": rate}

    fit(BATCH)
    return lambda: fit(len(images))


if __name__ == "__main__":
    answer(prepare)
