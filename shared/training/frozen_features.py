"""What the frozen blocks make of a clinic's images: computed once, since no round changes it.

Of EfficientNetB0 with four frozen blocks, two thirds of a prediction are theirs.
"""

from __future__ import annotations

import hashlib
import math
from functools import lru_cache

import keras
import numpy as np
from numpy.typing import NDArray

from dermafed.shared.model.classifier import block_of
from dermafed.shared.training.data import LabelledImages
from dermafed.shared.training.predict import apply_classifier, apply_in_batches


class FrozenFeatures:
    """A clinic's images, and what a classifier's frozen blocks made of them last."""

    def __init__(self, frozen_blocks: int, data: LabelledImages) -> None:
        """Keeps the images, uint8 (N, S, S, 3)."""
        self._frozen_blocks, self._data = frozen_blocks, data
        self._digest = b""
        self._features = np.empty(0, np.float32)

    def predict(self, classifier: keras.Model) -> NDArray[np.float32]:
        """Probabilities float32 (N, C) by a classifier's own weights."""
        parts = _parts(classifier, self._frozen_blocks)
        if parts is None:
            return apply_classifier(classifier, self._data)
        frozen, rest = parts
        if (digest := _digest(frozen)) != self._digest:
            self._features, self._digest = apply_in_batches(frozen, self._data.images), digest
        return apply_in_batches(rest, self._features, self._data.metadata)


@lru_cache(maxsize=2)
def _parts(classifier: keras.Model, frozen_blocks: int) -> tuple[keras.Model, keras.Model] | None:
    """The frozen blocks and the rest; None where there are none, or features take more memory than images."""
    image, *metadata = classifier.inputs
    frozen = [layer for layer in classifier.layers if 1 <= block_of(layer.name) <= frozen_blocks]
    if not frozen:
        return None
    features = frozen[-1].output
    if math.prod(features.shape[1:]) * 4 > math.prod(image.shape[1:]):  # float32 against uint8
        return None
    return keras.Model(image, features), keras.Model([features, *metadata], classifier.output)


def _digest(front: keras.Model) -> bytes:
    digest = hashlib.sha256()
    for value in front.get_weights():
        digest.update(value.tobytes())
    return digest.digest()
