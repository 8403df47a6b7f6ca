"""Predict with a model's weights, and with a clinic's own batch normalisation if it has one.

What the frozen blocks make of images is computed once, since no round changes it: of EfficientNetB0 with four
frozen blocks, two thirds of a prediction.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Protocol

import keras
import numpy as np
from numpy.typing import NDArray

from dermafed.shared.model.classifier import batch_norm_mask, set_flat
from dermafed.shared.model.image_features import features_network
from dermafed.shared.model.mirrored_views import mean_prediction, mirrored
from dermafed.shared.model.model_settings import ModelSettings
from dermafed.shared.training.artefact_images import ArtefactImages
from dermafed.shared.training.data import LabelledImages
from dermafed.shared.training.frozen_front import digest_of_front, frozen_front, rest_of
from dermafed.shared.training.trainer import FloatVector
from dermafed.shared.training.training_network import in_training, shared_classifier, without_finder

# 64 images a batch take half as long again as four times 16: their maps leave the processor's cache.
BATCH_SIZE = 16

SavedFeatures = Callable[[keras.Model, NDArray[np.uint8]], NDArray[np.floating[Any]]]
"""Gives the frozen blocks' features of images, float32 (N, H, W, K), from where they are saved."""


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
    classifier = loaded_classifier(model, weights, round=round, memory=memory)
    return apply_classifier(classifier, data, model.views_at_test)


def loaded_classifier(
    model: ModelSettings, weights: FloatVector, *, round: int = 0, memory: BatchNormMemory | None = None
) -> keras.Model:
    """Return the process's one classifier, with these weights until others are set; see :func:`predict`.

    Without a lesion finder in the weights, a model of the lesion's features is the one that rounds train,
    which gives the same and whose frozen blocks can be computed once.
    """
    # The values that the clinic saved in this round belong to this round's model.
    weights = with_own_batch_norm(model, weights, memory, round + 1)
    finder, trained = without_finder(model, weights)
    if not finder.any():
        model, weights = in_training(model), trained
    classifier = shared_classifier(model)
    set_flat(classifier, weights)
    return classifier


def apply_classifier(classifier: keras.Model, data: LabelledImages, views: int = 1) -> NDArray[np.float32]:
    """Predict probabilities float32 (N, C) with a classifier's own weights, of so many mirrored views."""
    images = [mirrored(data.images, view) for view in range(views)]
    return mean_prediction([apply_in_batches(classifier, one, data.metadata) for one in images])


def apply_in_batches(
    network: keras.Model,
    images: NDArray[np.uint8] | NDArray[np.floating[Any]] | ArtefactImages,
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

    def __init__(
        self, frozen_blocks: int, data: LabelledImages, saved: SavedFeatures | None = None, views: int = 1
    ) -> None:
        """Take the images, where their features are saved, if not in memory, and how many mirrored views."""
        self._frozen_blocks, self._data, self._saved, self._views = frozen_blocks, data, saved, views
        self._digest = b""
        self._features: list[NDArray[np.floating[Any]]] = []

    def predict(self, classifier: keras.Model) -> NDArray[np.float32]:
        """Predict probabilities float32 (N, C) with a classifier's own weights."""
        if (parts := _parts(classifier, self._frozen_blocks)) is None:
            return apply_classifier(classifier, self._data, self._views)
        return mean_prediction(self._outputs(*parts))

    def inputs_of_last_layer(self, classifier: keras.Model) -> NDArray[np.float32]:
        """What a classifier's last layer reads of each image, not mirrored: float32 (N, K)."""
        features = features_network(classifier)
        if (parts := _parts(classifier, self._frozen_blocks)) is None:
            return apply_in_batches(features, self._data.images, self._data.metadata)
        return self._outputs(parts[0], _behind(classifier, parts[0]))[0]

    def _outputs(self, front: keras.Model, rest: keras.Model) -> list[NDArray[np.float32]]:
        """What the rest makes of each mirrored view of the images."""
        if (digest := digest_of_front(front)) != self._digest:
            features_of = self._saved or apply_in_batches
            images = [mirrored(self._data.images, view) for view in range(self._views)]
            self._features, self._digest = [features_of(front, one) for one in images], digest
        return [apply_in_batches(rest, one, self._data.metadata) for one in self._features]


@lru_cache(maxsize=2)
def _parts(classifier: keras.Model, frozen_blocks: int) -> tuple[keras.Model, keras.Model] | None:
    """Split off the frozen blocks; None without any, or where features take more memory than images."""
    front = frozen_front(classifier, frozen_blocks)
    if front is None:
        return None
    if math.prod(front.output_shape[1:]) * 4 > math.prod(front.input_shape[1:]):  # float32 against uint8
        return None
    return front, rest_of(classifier, front, classifier.output)


@lru_cache(maxsize=2)
def _behind(classifier: keras.Model, front: keras.Model) -> keras.Model:
    """From the front's features to what the last layer reads."""
    return rest_of(classifier, front, features_network(classifier).output)
