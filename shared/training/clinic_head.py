"""A clinic's sums for its last layer, from the features before it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import keras
import numpy as np
from numpy.typing import NDArray

from dermafed.shared.errors import ModelError
from dermafed.shared.model.image_features import features_network
from dermafed.shared.training.artefact_images import ArtefactImages
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
from dermafed.shared.training.own_layer import own_layer
from dermafed.shared.training.predict import BATCH_SIZE, FrozenFeatures, apply_in_batches
from dermafed.shared.training.trainer import FloatVector


@dataclass
class ClinicHead:
    """The sums of a clinic's images as they are, or with artefacts, without any other augmentation.

    Classes weigh inversely to their frequency over all clinics; a class with fewer than five images at the
    clinic is left out. The features are computed once for a model, since a fit asks for sums at many points.

    Attributes:
        data: the clinic's training images.
        class_counts: training images of each class over all clinics.
        least: number of images of common classes that the clinic needs.
        classifier: loads the classifier with a model's weights, in a round.
        artefacts: the share of images on which an artefact is drawn.
        seed: of these artefacts.
        frozen: what the frozen blocks make of the images, where that is saved and no artefact is drawn.
    """

    data: LabelledImages
    class_counts: Sequence[int]
    least: int
    classifier: Callable[[FloatVector, int], keras.Model]
    artefacts: float = 0.0
    seed: int = 0
    frozen: FrozenFeatures | None = None
    _model: bytes = b""
    _features: NDArray[np.float32] = field(default_factory=lambda: np.empty((0, 0), np.float32))

    def sums(self, weights: FloatVector, round: int) -> HeadSums:
        """The sums for the exact head.

        Args:
            weights: of the model that gives the features, float32 (P,).
            round: the number of the round.

        Raises:
            DatasetError: too few images remain.
            ModelError: a feature is not finite.
        """
        of_class, features = self._class_weights(), self._features_by(weights, round)
        parts = (slice(start, start + BATCH_SIZE) for start in range(0, len(features), BATCH_SIZE))
        batches = ((features[part], self.data.labels[part]) for part in parts)
        return sum_up(batches, features.shape[1], of_class)

    def slopes(self, weights: FloatVector, round: int, head: LinearHead) -> SlopeSums:
        """The loss by a head and its slopes.

        Args:
            weights: as in :meth:`sums`.
            round: as in :meth:`sums`.
            head: the last layer, in place of the classifier's own.

        Raises:
            DatasetError: too few images remain.
            ModelError: the head is of other features or classes.
        """
        of_class, features = self._class_weights(), self._features_by(weights, round)
        if head.kernel.shape != (features.shape[1], len(of_class)):
            raise ModelError("The head is of other features or classes than the model")
        return SlopeSums.of(features, self.data.labels, of_class, head)

    def with_own_layer(self, weights: FloatVector, round: int) -> FloatVector:
        """A model, float32 (P,), with the clinic's own last layer: see ``shared.training.own_layer``.

        All training images count, even those of a class with few: nothing of it leaves the clinic.

        Args:
            weights: as in :meth:`sums`.
            round: as in :meth:`sums`.
        """
        features, classes = self._features_by(weights, round), len(self.class_counts)
        start = LinearHead.of(weights, features.shape[1], classes)
        of_class = class_weights(np.asarray(self.class_counts, np.int64)).astype(np.float64)
        return own_layer(features, self.data.labels, of_class, start).into(weights).astype(np.float32)

    def _features_by(self, weights: FloatVector, round: int) -> NDArray[np.float32]:
        # With its own batch normalisation, the clinic's model also depends on the round.
        model = hashlib.sha256(np.ascontiguousarray(weights).data).digest() + round.to_bytes(8, "big")
        if model != self._model:
            self._features, self._model = self._computed(self.classifier(weights, round)), model
        return self._features

    def _computed(self, classifier: keras.Model) -> NDArray[np.float32]:
        if self.frozen is not None:
            return self.frozen.inputs_of_last_layer(classifier)
        images = self.data.images
        used = ArtefactImages(images, self.artefacts, self.seed) if self.artefacts else images
        return apply_in_batches(features_network(classifier), used, self.data.metadata)

    def _class_weights(self) -> Floats:
        counts = np.asarray(self.class_counts, np.int64)
        weights = weights_of_common(self.data.labels, class_weights(counts).astype(np.float64))
        check_enough_images(int((weights[self.data.labels] > 0).sum()), self.least)
        return weights
