"""A clinic's sums for its last layer, from the features before it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import keras
import numpy as np
from numpy.typing import NDArray

from dermafed.shared.errors import ModelError
from dermafed.shared.model.classifier import to_flat
from dermafed.shared.training.clinic_weight import class_weights
from dermafed.shared.training.data import LabelledImages
from dermafed.shared.training.exact_head.head_sums import (
    Floats,
    HeadSums,
    check_enough_images,
    sum_up,
    weights_of_common,
)
from dermafed.shared.training.exact_head.ridge import LinearHead
from dermafed.shared.training.exact_head.slope_sums import SlopeSums
from dermafed.shared.training.predict import BATCH_SIZE, apply_in_batches


@dataclass
class ClinicHead:
    """The sums of a clinic's images as they are, without augmentation.

    Classes weigh inversely to their frequency over all clinics; a class with fewer than five images at the
    clinic is left out.

    Attributes:
        data: the clinic's training images.
        class_counts: training images of each class over all clinics.
        least: number of images of common classes that the clinic needs.
    """

    data: LabelledImages
    class_counts: Sequence[int]
    least: int
    _model: str = ""
    _features: NDArray[np.float32] = field(default_factory=lambda: np.empty((0, 0), np.float32))

    def sums(self, classifier: keras.Model) -> HeadSums:
        """The sums for the exact head, batch by batch.

        Args:
            classifier: with the weights to take the features from.

        Raises:
            DatasetError: too few images remain.
            ModelError: a feature is not finite.
        """
        network = _features_of(classifier)
        return sum_up(_batches(network, self.data), network.output_shape[-1], self._weights())

    def slopes(self, classifier: keras.Model, head: LinearHead) -> SlopeSums:
        """The loss by a head and its slopes; the features are computed once for a model.

        Args:
            classifier: with the weights to take the features from.
            head: the last layer, in place of the classifier's own.

        Raises:
            DatasetError: too few images remain.
            ModelError: the head is of other features or classes.
        """
        weights, network = self._weights(), _features_of(classifier)
        if head.kernel.shape != (network.output_shape[-1], len(weights)):
            raise ModelError("The head is of other features or classes than the model")
        if (model := hashlib.sha256(to_flat(classifier).tobytes()).hexdigest()) != self._model:
            self._features = apply_in_batches(network, self.data.images, self.data.metadata)
            self._model = model
        return SlopeSums.of(self._features, self.data.labels, weights, head)

    def _weights(self) -> Floats:
        counts = np.asarray(self.class_counts, np.int64)
        weights = weights_of_common(self.data.labels, class_weights(counts).astype(np.float64))
        check_enough_images(int((weights[self.data.labels] > 0).sum()), self.least)
        return weights


def _features_of(classifier: keras.Model) -> keras.Model:
    return keras.Model(classifier.input, classifier.get_layer("logits").input)


def _batches(
    network: keras.Model, data: LabelledImages
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.int64]]]:
    for start in range(0, len(data.images), BATCH_SIZE):
        part = slice(start, start + BATCH_SIZE)
        metadata = None if data.metadata is None else data.metadata[part]
        yield apply_in_batches(network, data.images[part], metadata), data.labels[part]
