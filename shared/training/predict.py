"""Predict with a model's weights, and with a clinic's own batch normalisation if it has one.

What the frozen blocks make of images is computed once, since no round changes it: of EfficientNetB0 with four
frozen blocks, two thirds of a prediction.
"""

from __future__ import annotations

import hashlib
import math
from functools import lru_cache
from typing import Protocol

import keras
import numpy as np
from numpy.typing import NDArray

from dermafed.shared.model.classifier import batch_norm_mask, set_flat
from dermafed.shared.model.image_features import block_of, last_cut
from dermafed.shared.model.model_settings import ModelSettings
from dermafed.shared.training.data import LabelledImages
from dermafed.shared.training.trainer import FloatVector
from dermafed.shared.training.training_network import shared_classifier

# 64 images a batch take half as long again as four times 16: their maps leave the processor's cache.
BATCH_SIZE = 16


class BatchNormMemory(Protocol):
    """Saves a clinic's own batch normalisation between rounds (FedBN)."""

    def load(self, before_round: int) -> FloatVector | None:
        """Return the values saved last before a round, or ``None``."""

    def save(self, values: FloatVector, *, round: int) -> None:
        """Save the values at the end of a round."""


def predict(
    model: ModelSettings,
    weights: FloatVector,
    data: LabelledImages,
    *,
    round: int = 0,
    memory: BatchNormMemory | None = None,
) -> NDArray[np.float32]:
    """Apply a model to images.

    Args:
        model: the architecture.
        weights: float32 (P,).
        data: the images.
        round: the round that the weights come from.
        memory: the clinic's own batch normalisation, if it has one.

    Returns:
        Probabilities float32 (N, C).
    """
    return apply_classifier(loaded_classifier(model, weights, round=round, memory=memory), data)


def loaded_classifier(
    model: ModelSettings, weights: FloatVector, *, round: int = 0, memory: BatchNormMemory | None = None
) -> keras.Model:
    """Return the process's one classifier, with these weights until others are set; see :func:`predict`."""
    classifier = shared_classifier(model)
    # The values that the clinic saved in this round belong to this round's model.
    set_flat(classifier, with_own_batch_norm(model, weights, memory, round + 1))
    return classifier


def apply_classifier(classifier: keras.Model, data: LabelledImages) -> NDArray[np.float32]:
    """Predict probabilities float32 (N, C) with a classifier's own weights."""
    return apply_in_batches(classifier, data.images, data.metadata)


def apply_in_batches(
    network: keras.Model,
    images: NDArray[np.uint8] | NDArray[np.float32],
    metadata: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    """A network's outputs, float32 (N, ...), for N images or features, and their metadata if it takes any.

    Every batch is padded to one shape, so that the network is traced once.
    """
    parts = [np.empty((0, *network.output_shape[1:]), np.float32)]
    for start in range(0, len(images), BATCH_SIZE):
        index = np.arange(start, min(start + BATCH_SIZE, len(images)))
        padded = np.resize(index, BATCH_SIZE)
        pixels = images[padded].astype(np.float32)
        inputs = pixels if metadata is None else [pixels, metadata[padded]]
        parts.append(keras.ops.convert_to_numpy(network.predict_on_batch(inputs))[: len(index)])
    return np.concatenate(parts)


def with_own_batch_norm(
    model: ModelSettings, weights: FloatVector, memory: BatchNormMemory | None, round: int
) -> FloatVector:
    """Return the weights with the batch normalisation that the clinic saved last before a round, if any."""
    own = memory.load(round) if memory else None
    if own is None:
        return weights
    mixed = weights.copy()
    mixed[batch_norm_entries(model)] = own
    return mixed


@lru_cache(maxsize=2)
def batch_norm_entries(settings: ModelSettings) -> NDArray[np.bool_]:
    """Return which of the weights belong to batch normalisation: bool (P,)."""
    return batch_norm_mask(shared_classifier(settings))


class FrozenFeatures:
    """A clinic's images, and their features after a classifier's frozen blocks."""

    def __init__(self, frozen_blocks: int, data: LabelledImages) -> None:
        """Take the images, uint8 (N, S, S, 3)."""
        self._frozen_blocks, self._data = frozen_blocks, data
        self._digest = b""
        self._features = np.empty(0, np.float32)

    def predict(self, classifier: keras.Model) -> NDArray[np.float32]:
        """Predict probabilities float32 (N, C) with a classifier's own weights."""
        parts = _parts(classifier, self._frozen_blocks)
        if parts is None:
            return apply_classifier(classifier, self._data)
        frozen, rest = parts
        if (digest := _digest(frozen)) != self._digest:
            self._features, self._digest = apply_in_batches(frozen, self._data.images), digest
        return apply_in_batches(rest, self._features, self._data.metadata)


@lru_cache(maxsize=2)
def _parts(classifier: keras.Model, frozen_blocks: int) -> tuple[keras.Model, keras.Model] | None:
    """Split off the frozen blocks; None without any, or where features take more memory than images."""
    image, *metadata = classifier.inputs
    cut = min(frozen_blocks, last_cut(classifier))
    frozen = [layer for layer in classifier.layers if 1 <= block_of(layer.name) <= cut]
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
