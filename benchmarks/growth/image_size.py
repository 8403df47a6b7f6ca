"""Over the size of an image: preparing a picture of 3 megapixels, and the network's answer.

The variable is the number of pixels, the square of the side. Preparing is resizing, BM3D with a given noise
and CLAHE; resizing reads the whole picture at any size. The network is EfficientNetB0 with random weights,
and predicts batches of 16.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from benchmarks.growth.cost import Cost, cost
from dermafed.shared.imaging.pipeline import preprocess
from dermafed.shared.imaging.preprocess_settings import PreprocessSettings
from dermafed.shared.lesions.record import PAPER_CLASSES

VARIABLE = "pixels"
SIDES = (64, 96, 128, 160, 192, 224, 288, 352, 448)
SIZES = tuple(side * side for side in SIDES)
LARGER = 5
_BATCH = 16
_SIGMA = 10.0  # above what is left as it is
_CAMERA = (1500, 2000, 3)


def costs(pixels: int) -> Iterator[tuple[str, Cost]]:
    """The cost of each part for an image of so many pixels, a square number."""
    from dermafed.shared.model.classifier import build_classifier
    from dermafed.shared.model.model_settings import ModelSettings

    side = round(pixels**0.5)
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, _CAMERA, np.uint8)
    settings = PreprocessSettings(image_size=side, sigma=_SIGMA)
    preprocess(picture, settings)  # compiles
    yield "prepare an image", cost(lambda _: preprocess(picture, settings), _nothing)
    classifier = build_classifier(ModelSettings(PAPER_CLASSES, image_size=side))
    images = rng.integers(0, 256, (_BATCH, side, side, 3), np.uint8)
    classifier.predict(images, _BATCH, verbose=0)  # traces
    yield f"predict {_BATCH} images", cost(lambda _: classifier.predict(images, _BATCH, verbose=0), _nothing)


def _nothing() -> None:
    return None
