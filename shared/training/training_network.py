"""The classifier in training: FedProx's loss, and a compiled step that all trainers of the process share."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from dermafed.shared.model.classifier import build_classifier, fix_batch_norm, logits_model, set_flat, to_flat
from dermafed.shared.model.lesion_weights import finder_size
from dermafed.shared.model.model_settings import ModelSettings
from dermafed.shared.training.backend import compiles_steps, faster_in_training
from dermafed.shared.training.data import Batch
from dermafed.shared.training.frozen_front import frozen_front, rest_of
from dermafed.shared.training.guidance import GuidedCrossEntropy, beside_targets, guided_output
from dermafed.shared.training.loss import PriorAdjustedCrossEntropy
from dermafed.shared.training.recipe import Recipe
from dermafed.shared.training.trainer import FloatVector


class ProximalModel(keras.Model):  # type: ignore[misc]
    """A classifier up to its logits, whose loss adds FedProx's proximal term (mu / 2) ||w - w_0||^2.

    Li et al. 2020, arXiv:1812.06127, eq. 2.

    w are the trainable weights and w_0 the global ones that the round started from. With
    mu = 0 there is no anchor and no term.
    """

    def __init__(
        self, classifier: keras.Model, mu: float, front: keras.Model | None = None, *, guided: bool = False
    ) -> None:
        """Take a classifier, or what of it lies behind its front; whether evidence comes with its logits."""
        output = guided_output(classifier) if guided else logits_model(classifier).output
        network = rest_of(classifier, front, output) if front else keras.Model(classifier.input, output)
        network = faster_in_training(network)
        super().__init__(network.input, network.output, name="proximal")
        self.mu = mu
        weights = self.trainable_variables if mu else []
        # Zeros, since a Keras variable made of another's value shares its memory.
        self.anchor = [
            keras.Variable(keras.ops.zeros(w.shape), trainable=False, name="anchor") for w in weights
        ]

    def set_anchor(self) -> None:
        """Set w_0 to the present weights."""
        for anchor, weight in zip(self.anchor, self.trainable_variables if self.mu else [], strict=True):
            anchor.assign(keras.ops.copy(weight.value))  # JAX gives up the memory that a step changes

    def compute_loss(self, *args: Any, **kwargs: Any) -> keras.KerasTensor:
        """The loss of Keras' ``compile`` plus the proximal term."""
        loss = super().compute_loss(*args, **kwargs)
        pairs = zip(self.trainable_variables, self.anchor, strict=True) if self.mu else ()
        return loss + sum(0.5 * self.mu * keras.ops.sum(keras.ops.square(w - a)) for w, a in pairs)


class TrainingNetwork:
    """The classifier with its optimiser, compiled once and used by all trainers of the process.

    Tracing EfficientNetB0's training step takes longer than the round of many a clinic.

    Attributes:
        classifier: the whole classifier, as :func:`in_training` builds it.
        front: its frozen blocks where the recipe has views, whose features are the batches' inputs then.
    """

    def __init__(self, settings: ModelSettings, recipe: Recipe, proximal_mu: float, fixed: bool) -> None:
        self._settings, self._finder = settings, np.empty(0, np.float32)
        settings = in_training(settings)
        self.classifier = shared_classifier(settings)
        if fixed:  # a classifier of its own, since Keras reads what trains when it traces a step
            self.classifier = build_classifier(settings)
            fix_batch_norm(self.classifier)
        self._guided = recipe.guidance > 0
        self.front = frozen_front(self.classifier, settings.frozen_blocks) if recipe.views else None
        self._network = ProximalModel(self.classifier, proximal_mu, self.front, guided=self._guided)
        loss = _loss(recipe, len(settings.classes))
        self._network.compile(make_optimizer(recipe), loss, jit_compile=compiles_steps())
        # Built now, since a step that creates variables is traced twice.
        self._network.optimizer.build(self._network.trainable_variables)

    def restart(self, weights: FloatVector, *, seed: int) -> None:
        """Start from ``weights`` with a fresh optimiser and seeded dropout."""
        self._finder, trained = without_finder(self._settings, weights)
        set_flat(self.classifier, trained)
        self._network.set_anchor()
        for variable in self._network.optimizer.variables:
            variable.assign(keras.ops.zeros_like(variable.value))
        generators = [
            layer.seed_generator for layer in self.classifier.layers if hasattr(layer, "seed_generator")
        ]
        # A key for each layer: with one key, a layer would draw what another drew a step before.
        keys = np.random.default_rng(seed).integers(2**31, size=len(generators))
        for generator, key in zip(generators, keys, strict=True):
            generator.state.assign([int(key), 0])
        self._loss_sum = self._weight = 0.0

    def step(
        self, batch: Batch, y: NDArray[np.float32], weights: NDArray[np.float32], learning_rate: float
    ) -> None:
        """One gradient step on a batch."""
        self._network.optimizer.learning_rate = learning_rate
        weights = weights * batch.weights
        if self._guided and batch.lesions is not None:
            y = beside_targets(y, batch.lesions)
        # Keras starts its own mean afresh with each of these calls.
        loss = self._network.train_on_batch(batch.inputs, y, sample_weight=weights)
        self._loss_sum += float(loss) * float(weights.sum())
        self._weight += float(weights.sum())

    def weights(self) -> FloatVector:
        """The weights as they are now, float32 (P,)."""
        return np.concatenate([self._finder, to_flat(self.classifier)])

    def mean_loss(self) -> float:
        """The mean training loss since the restart."""
        return self._loss_sum / self._weight


@lru_cache(maxsize=2)
def shared_classifier(settings: ModelSettings) -> keras.Model:
    """Return the process's one classifier of an architecture; its weights are those that were set last."""
    return build_classifier(settings)


def in_training(settings: ModelSettings) -> ModelSettings:
    """The architecture that rounds train: before there is a lesion finder, all cells count the same."""
    return replace(settings, features="blocks") if settings.features == "lesion" else settings


def without_finder(settings: ModelSettings, weights: FloatVector) -> tuple[FloatVector, FloatVector]:
    """The finder's part of the weights, and what the network in training has; without one, it is empty."""
    trained = in_training(settings)
    size = 0 if trained is settings else finder_size(shared_classifier(trained))
    return weights[:size], weights[size:]


def training_network(
    settings: ModelSettings, recipe: Recipe, proximal_mu: float, fixed: bool = False
) -> TrainingNetwork:
    """Return the process's one network for these settings, with its batch normalisation fixed or not.

    Recipes share it that differ only in what no traced step has: targets, weights and rates are its inputs.
    """
    step = Recipe(
        batch_size=recipe.batch_size,
        optimizer=recipe.optimizer,
        momentum=recipe.momentum,
        weight_decay=recipe.weight_decay,
        focus=recipe.focus,
        guidance=recipe.guidance,
        views=min(recipe.views, 1),
    )
    return network_of_step(settings, step, proximal_mu, fixed)


@lru_cache(maxsize=2)
def network_of_step(
    settings: ModelSettings, step: Recipe, proximal_mu: float, fixed: bool
) -> TrainingNetwork:
    """See :func:`training_network`, of whose recipe the step has its part."""
    return TrainingNetwork(settings, step, proximal_mu, fixed)


def _loss(recipe: Recipe, classes: int) -> keras.losses.Loss:
    plain = PriorAdjustedCrossEntropy(recipe.focus)
    return GuidedCrossEntropy(plain, classes, recipe.guidance) if recipe.guidance else plain


def make_optimizer(recipe: Recipe) -> keras.Optimizer:
    """The recipe's optimiser, afresh."""
    if recipe.optimizer == "sgd":
        return keras.optimizers.SGD(recipe.learning_rate, recipe.momentum, nesterov=recipe.momentum > 0)
    return keras.optimizers.AdamW(recipe.learning_rate, weight_decay=recipe.weight_decay)
