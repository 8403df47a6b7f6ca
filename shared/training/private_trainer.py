"""A clinic's training of the last layer with differential privacy, and its evaluation."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

import keras
import numpy as np
from numpy.typing import NDArray

from dermafed.shared.metrics.evaluation import ClinicEvaluation
from dermafed.shared.model.image_features import features_network
from dermafed.shared.model.mirrored_views import mean_logits, mirrored
from dermafed.shared.model.model_settings import ModelSettings
from dermafed.shared.privacy.accountant import Mechanism
from dermafed.shared.privacy.dp_settings import DifferentialPrivacy
from dermafed.shared.privacy.planned_noise import PlannedNoise
from dermafed.shared.privacy.secret_random import SecretRandom
from dermafed.shared.training.clinic_weight import class_weights, clinic_weight
from dermafed.shared.training.data import LabelledImages
from dermafed.shared.training.exact_head.ridge import LinearHead
from dermafed.shared.training.loss import log_prior, targets
from dermafed.shared.training.predict import SavedFeatures, apply_in_batches, loaded_classifier
from dermafed.shared.training.private_head import Floats, PatientImages, noisy_evaluation
from dermafed.shared.training.recipe import Recipe
from dermafed.shared.training.trainer import FloatVector, Update
from dermafed.shared.training.training_network import make_optimizer, shared_classifier


class Debits(Protocol):
    """Debits a release before it is computed; raises where there is not enough left."""

    def debit(self, what: Literal["training", "validation"], round: int, mechanism: Mechanism) -> None:
        """Debit a release of a round."""


@dataclass
class PatientData:
    """Images of one side of a clinic's split.

    Attributes:
        images: the images.
        patients: indices of each patient's images.
        saved: where features are saved, if not in memory only. A clinic saves none: what is not finite must
            end in no error, which would tell of a patient.
    """

    images: LabelledImages
    patients: Sequence[NDArray[np.int64]]
    saved: SavedFeatures | None = None
    _model: bytes = b""
    _features: list[NDArray[np.float32]] = field(default_factory=list)

    def features(self, model: ModelSettings, weights: FloatVector, views: int) -> list[NDArray[np.float32]]:
        """What the last layer reads of each of so many mirrored views, float32 (N, K) each.

        They are computed once as long as the weights before that layer stay.
        """
        kernel = shared_classifier(model).get_layer("logits").kernel
        before = weights[: -(kernel.shape[0] + 1) * kernel.shape[1]]
        digest = hashlib.sha256(np.ascontiguousarray(before).data).digest()
        if digest != self._model:
            network, data = features_network(loaded_classifier(model, weights)), self.images
            shown = [mirrored(data.images, view) for view in range(views)]
            if self.saved and data.metadata is None:
                self._features = [np.asarray(self.saved(network, one), np.float32) for one in shown]
            else:
                self._features = [apply_in_batches(network, one, data.metadata) for one in shown]
            self._model = digest
        return self._features


class PrivateTrainer:
    """Trains the last layer, so that what leaves hardly depends on any one patient.

    Whatever the server sends as a model, features are those of each image alone, since batch normalisation
    uses the model's own statistics. What depends on all images together depends on the released counts only.
    """

    def __init__(
        self,
        model: ModelSettings,
        recipe: Recipe,
        dp: DifferentialPrivacy,
        noise: PlannedNoise,
        debits: Debits,
        *,
        train: PatientData,
        validation: PatientData,
        rounds: int,
        counts: NDArray[np.int64],
        class_counts: Sequence[int],
    ) -> None:
        """Take the clinic's images.

        Args:
            model: the architecture.
            recipe: the local training; its batch size and augmentation have no part in it.
            dp: rate and clip.
            noise: of the run's releases.
            debits: debits them.
            train: the training images.
            validation: the validation images.
            rounds: number of rounds of the run, for the learning rate's schedule.
            counts: training patients of each class, as they were released (C,).
            class_counts: the same over all clinics (C,).
        """
        self.model, self.recipe, self.dp, self.noise, self.debits = model, recipe, dp, noise, debits
        self.train_data, self.validation, self.rounds, self.counts = train, validation, rounds, counts
        prior = log_prior(counts) if recipe.balance == "logits" else np.zeros(len(counts), np.float32)
        truth = targets(train.images.labels, prior, recipe.label_smoothing)[:, : len(counts)]
        everywhere = np.asarray(class_counts, np.int64)
        of_class = np.ones(len(counts))
        if recipe.balance == "weights":
            of_class = class_weights(counts).astype(np.float64)
        elif recipe.balance == "global":
            of_class = class_weights(everywhere).astype(np.float64) * len(counts)
        self._truth = truth.astype(np.float64) * of_class[train.images.labels, None]
        self._prior = prior.astype(np.float64)
        self._weight = clinic_weight(counts.tolist(), everywhere.tolist(), recipe.balance)

    def train(self, weights: FloatVector, round: int, config: Mapping[str, float]) -> Update:
        """Train a round from ``weights``: debited first, then drawn.

        Args:
            weights: the global model, float32 (P,).
            round: from 1.
            config: none.

        Returns:
            The weights with a new last layer, and their weight in the mean by the released counts; no loss.

        Raises:
            BudgetSpent: there is not enough left.
        """
        steps = self.recipe.steps_of_round(round, self.dp.steps_in_epoch)
        noise = self.noise.training
        self.debits.debit("training", round, Mechanism(noise.noise, noise.rate, len(steps)))
        layer = self._trained(*self.start(weights), round, len(steps))
        return Update(
            LinearHead(layer[:-1], layer[-1]).into(weights).astype(np.float32), self._weight, metrics={}
        )

    def evaluate(self, weights: FloatVector, round: int) -> ClinicEvaluation:
        """A model's confusion matrix of the validation patients with noise: debited first, then drawn.

        Raises:
            BudgetSpent: there is not enough left.
        """
        noise = self.noise.validation
        self.debits.debit("validation", round, Mechanism(noise.noise, noise.rate, 1))
        return noisy_evaluation(
            *(self.validation.images.labels, self.predicted(weights), self.validation.patients),
            len(self.counts),
            noise=noise.noise,
            random=SecretRandom.fresh(),
        )

    def start(self, weights: FloatVector) -> tuple[PatientImages, Floats]:
        """The training images as the last layer sees them, and that layer, (K + 1, C)."""
        (features,) = self.train_data.features(self.model, weights, views=1)
        head = LinearHead.of(weights, features.shape[1], len(self.counts))
        images = PatientImages(features, self._truth, self._prior, self.train_data.patients)
        return images, np.vstack([head.kernel, head.bias])

    def predicted(self, weights: FloatVector) -> NDArray[np.int64]:
        """The predicted class of each validation image, int64 (N,)."""
        views = self.validation.features(self.model, weights, self.model.views_at_test)
        head = LinearHead.of(weights, views[0].shape[1], len(self.counts))
        with np.errstate(all="ignore"):
            logits = mean_logits([head.scores(view).astype(np.float32) for view in views])
        return np.asarray(logits.argmax(axis=1), np.int64)

    def _trained(self, images: PatientImages, start: Floats, round: int, steps: int) -> Floats:
        """The last layer after so many private steps, (K + 1, C)."""
        random, expected = SecretRandom.fresh(), self.dp.rate * float(self.counts.sum())
        layer = keras.Variable(start, dtype="float32")
        optimizer = make_optimizer(self.recipe)
        for done in range(steps):
            present = keras.ops.convert_to_numpy(layer.value).astype(np.float64)
            gradient = images.noisy_gradient(
                present, rate=self.dp.rate, clip=self.dp.clip, noise=self.noise.training.noise, random=random
            )
            optimizer.learning_rate = self.recipe.learning_rate_at(
                (round - 1 + (done + 0.5) / steps) / self.rounds
            )
            optimizer.apply([keras.ops.convert_to_tensor(gradient / expected, "float32")], [layer])
        return np.asarray(keras.ops.convert_to_numpy(layer.value), np.float64)
