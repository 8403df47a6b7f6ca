"""A clinic's local training of the real classifier, on any Keras backend."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

import keras
import numpy as np
from numpy.typing import NDArray

from dermafed.shared.imaging.cache import default_cache_folder
from dermafed.shared.metrics.evaluation import ClinicEvaluation
from dermafed.shared.model.model_settings import ModelSettings
from dermafed.shared.training.clinic_head import ClinicHead
from dermafed.shared.training.clinic_weight import absent_classes, class_weights, clinic_weight
from dermafed.shared.training.data import Batch, LabelledImages, batches, steps_per_epoch
from dermafed.shared.training.exact_head.head_sums import HeadSums
from dermafed.shared.training.exact_head.ridge import LinearHead
from dermafed.shared.training.exact_head.slope_sums import SlopeSums
from dermafed.shared.training.feature_store import FeatureStore
from dermafed.shared.training.frozen_views import FrozenViews, saved_features
from dermafed.shared.training.loss import log_prior, targets, without
from dermafed.shared.training.predict import (
    BatchNormMemory,
    FrozenFeatures,
    batch_norm_entries,
    loaded_classifier,
    with_own_batch_norm,
)
from dermafed.shared.training.recipe import Recipe
from dermafed.shared.training.trainer import FloatVector, Update
from dermafed.shared.training.training_network import TrainingNetwork, training_network


class KerasTrainer:
    """Trains and evaluates the classifier on one clinic's images.

    All random draws come from the seed and the round, and the optimiser starts afresh each
    round: a round's result depends only on its inputs.
    """

    def __init__(
        self,
        model: ModelSettings,
        recipe: Recipe,
        *,
        train: LabelledImages,
        validation: LabelledImages,
        rounds: int,
        seed: int,
        class_counts: Sequence[int] | None = None,
        memory: BatchNormMemory | None = None,
        weights: NDArray[np.float32] | None = None,
        store: FeatureStore | None = None,
    ) -> None:
        """Take the clinic's images; the network is shared by the process's trainers.

        Args:
            model: the architecture.
            recipe: the local training.
            train: training images.
            validation: validation images.
            rounds: number of rounds of the run, for the learning rate's schedule.
            seed: seed of this clinic's random draws.
            class_counts: training images of each class over all clinics; this clinic's own by default.
            memory: the clinic's own batch normalisation, for ``batch_norm="local"``.
            weights: weights of the training images (N,), besides those that balance classes.
            store: where features are saved if the recipe has views; in the cache folder by default.
        """
        self.model, self.recipe, self.rounds, self.seed = model, recipe, rounds, seed
        self.data, self.validation = train, validation
        # Without masks there is nothing to be guided by, and training is what it is without guidance.
        self._own_recipe = recipe if train.lesions is not None else replace(recipe, guidance=0.0)
        store = store or FeatureStore(default_cache_folder())
        views = partial(FrozenViews, artefacts=recipe.artefacts)
        self._views = views(train, recipe.views, seed, recipe.tones, store) if recipe.views else None
        saved = partial(saved_features, store=store) if recipe.views else None
        self._validation_features = FrozenFeatures(
            model.frozen_blocks, validation, saved, model.views_at_test
        )
        self.memory = memory
        counts = np.bincount(train.labels, minlength=len(model.classes))
        everywhere = counts if class_counts is None else np.asarray(class_counts)
        prior = log_prior(counts) if recipe.balance == "logits" else np.zeros(len(counts), np.float32)
        if recipe.mask_absent:
            prior = without(prior, absent_classes(counts.tolist(), everywhere.tolist()))
        self._targets = targets(train.labels, prior, recipe.label_smoothing)
        of_class = class_weights(counts) if recipe.balance == "weights" else np.ones(len(counts), np.float32)
        self._weights = of_class[train.labels] * (1 if weights is None else weights)
        saves_all = recipe.views and not recipe.artefacts
        self._head = ClinicHead(
            *(train, everywhere.tolist(), recipe.head_images, self._classifier),
            artefacts=recipe.artefacts,
            seed=seed,
            frozen=FrozenFeatures(model.frozen_blocks, train, saved) if saves_all else None,
        )
        if recipe.balance == "global":  # in the targets, since Keras divides by the sum of sample weights
            shares = class_weights(everywhere) * len(counts)
            self._targets[:, : len(counts)] *= shares[train.labels, None]
        self._weight = clinic_weight(counts.tolist(), everywhere.tolist(), recipe.balance)

    def train(self, weights: FloatVector, round: int, config: Mapping[str, float]) -> Update:
        """Train a round from ``weights``.

        Args:
            weights: the global model, float32 (P,).
            round: from 1.
            config: ``proximal_mu`` (FedProx), if any.

        Returns:
            The trained weights, their weight in the mean and the mean training loss.
        """
        mu = float(config.get("proximal_mu", 0.0))
        network = training_network(self.model, self._own_recipe, mu, self._fixes_batch_norm(round))
        network.restart(
            with_own_batch_norm(self.model, weights, self.memory, round), seed=self._seed(round, 0)
        )
        steps = self._steps(round)
        for done, batch in enumerate(self._batches(network, steps)):
            progress = (round - 1 + (done + 0.5) / len(steps)) / self.rounds
            rate = self.recipe.learning_rate_at(progress)
            network.step(batch, self._targets[batch.index], self._weights[batch.index], rate)
        trained = network.weights()
        self._save_batch_norm(trained, round)
        return Update(trained, self._weight, {"loss": network.mean_loss()})

    def head_sums(self, weights: FloatVector, round: int) -> HeadSums:
        """The sums of the training images for the exact head, on the features that ``weights`` give.

        Raises:
            DatasetError: too few images remain.
            ModelError: a feature is not finite.
        """
        return self._head.sums(weights, round)

    def head_slopes(self, weights: FloatVector, round: int, head: LinearHead) -> SlopeSums:
        """The loss of the same images by a head on the features that ``weights`` give, and its slopes.

        Raises:
            DatasetError: too few images remain.
            ModelError: the head is of other features or classes.
        """
        return self._head.slopes(weights, round, head)

    def evaluate(self, weights: FloatVector, round: int) -> ClinicEvaluation:
        """Evaluate a model on the clinic's validation images, with its own batch norm if it has one.

        Loss and histograms leave out classes of few images.
        """
        predictions = self._validation_features.predict(self._classifier(weights, round))
        return ClinicEvaluation.from_predictions(self.validation.labels, predictions, shows_rare=False)

    def _classifier(self, weights: FloatVector, round: int) -> keras.Model:
        return loaded_classifier(self.model, weights, round=round, memory=self.memory)

    def _batches(self, network: TrainingNetwork, steps: range) -> Iterator[Batch]:
        recipe = self.recipe
        if self._views and network.front:
            return self._views.batches(network.front, recipe.batch_size, steps)
        return batches(
            self.data,
            recipe.batch_size,
            steps,
            seed=self.seed,
            augmented=recipe.augment,
            tones=recipe.tones,
            artefacts=recipe.artefacts,
        )

    def _steps(self, round: int) -> range:
        return self.recipe.steps_of_round(round, steps_per_epoch(self.data, self.recipe.batch_size))

    def _fixes_batch_norm(self, round: int) -> bool:
        return self.model.batch_norm == "fixed" and round > (self.rounds + 1) // 2

    def _seed(self, *stage: int) -> int:
        return int(np.random.SeedSequence((self.seed, *stage)).generate_state(1)[0])

    def _save_batch_norm(self, weights: FloatVector, round: int) -> None:
        if self.memory:
            self.memory.save(weights[batch_norm_entries(self.model)], round=round)
