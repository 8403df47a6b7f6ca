"""The trainer of a hostile clinic: what it sends in place of an honest update.

``labels``: it trains with each label replaced by the next class, and claims ten times its images. ``scaled``:
the same with its own number of images, and ten times the step. ``flipped``: five times the opposite of an
honest step. ``backdoor``: it trains on its images with and without a patch, which stands for the first class,
and sends that step as many times as there are clinics (model replacement, Bagdasaryan et al. 2020,
https://arxiv.org/abs/1807.00459). ``quiet-backdoor``: the same step at twice the length of an honest one of
its own, which a plan's ``largest_step`` of 3 lets pass. ``free-rider``: the model as it came. ``replay``: its
first step, in every round. Steps are those of the trained weights: batch statistics that are too long are
easily refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dermafed.shared.metrics.evaluation import ClinicEvaluation
from dermafed.shared.model.parts import WEIGHTS, Parts
from dermafed.shared.protocol.plan import Plan
from dermafed.shared.training.data import LabelledImages
from dermafed.shared.training.trainer import FloatVector, Trainer, Update
from dermafed.simulation.runs.attack_settings import Attack, AttackKind

if TYPE_CHECKING:
    from dermafed.shared.training.keras_trainer import KerasTrainer

CLAIM, SCALE, OPPOSITE, QUIET = 10, 10.0, -5.0, 2.0

TARGET = 0
"""The class that a patch stands for."""

PATCH_SHARE = 8
"""The patch's side is this part of the image's side."""

PATCH_COLOUR = (255, 0, 255)


class HostileTrainer:
    """A trainer that sends what an attack makes of an update; its evaluations are honest.

    Args:
        kind: the attack.
        honest: trains as an honest clinic does.
        spoiled: trains on spoiled images, where the attack has some.
        clinics: number of clinics.
        parts: the part of each weight, uint8 (P,).
    """

    def __init__(
        self, kind: AttackKind, honest: Trainer, spoiled: Trainer, clinics: int, parts: Parts
    ) -> None:
        self._kind, self._honest, self._spoiled, self._clinics = kind, honest, spoiled, clinics
        self._trained = parts == WEIGHTS
        self._first: NDArray[np.float64] | None = None

    def train(self, weights: FloatVector, round: int, config: Mapping[str, float]) -> Update:
        """What the attack sends in place of a trained model."""
        match self._kind:
            case "labels":
                found = self._spoiled.train(weights, round, config)
                return replace(found, weight=CLAIM * found.weight)
            case "scaled":
                return self._stepped(weights, self._spoiled.train(weights, round, config), SCALE)
            case "flipped":
                return self._stepped(weights, self._honest.train(weights, round, config), OPPOSITE)
            case "backdoor":
                return self._stepped(weights, self._spoiled.train(weights, round, config), self._clinics)
            case "quiet-backdoor":
                trained = self._spoiled.train(weights, round, config)
                return self._stepped(weights, trained, self._quiet(weights, trained, round, config))
            case "free-rider":
                return replace(self._honest.train(weights, round, config), weights=weights.copy())
            case "replay":
                return self._replay(weights, self._honest.train(weights, round, config))

    def evaluate(self, weights: FloatVector, round: int) -> ClinicEvaluation:
        """The honest evaluation."""
        return self._honest.evaluate(weights, round)

    def _replay(self, weights: FloatVector, trained: Update) -> Update:
        if self._first is None:
            self._first = trained.weights.astype(np.float64) - weights
        return self._moved(weights, trained, self._first)

    def _quiet(self, weights: FloatVector, trained: Update, round: int, config: Mapping[str, float]) -> float:
        """How many times its own step makes it as long as is hardly noticed."""
        honest = self._honest.train(weights, round, config)
        usual, own = (np.linalg.norm((one.weights - weights)[self._trained]) for one in (honest, trained))
        return QUIET * float(usual / own) if own else 0.0

    def _stepped(self, weights: FloatVector, trained: Update, times: float) -> Update:
        return self._moved(weights, trained, times * (trained.weights.astype(np.float64) - weights))

    def _moved(self, weights: FloatVector, trained: Update, step: NDArray[np.float64]) -> Update:
        """The trained model with another step of its weights; its statistics stay."""
        moved = np.where(self._trained, weights + step, trained.weights)
        return replace(trained, weights=moved.astype(np.float32))


def hostile_trainer(attack: Attack, honest: KerasTrainer, plan: Plan, clinics: int) -> HostileTrainer:
    """The hostile clinic's trainer, from the one that it would have if it were honest."""
    # Imported here, so that all else of this file needs no Keras.
    from dermafed.shared.model.classifier import parts_of
    from dermafed.shared.training.keras_trainer import KerasTrainer
    from dermafed.shared.training.training_network import shared_classifier

    data = patched_too(honest.data) if attack.has_patch else exchanged(honest.data, len(plan.model.classes))
    spoiled = KerasTrainer(
        plan.model,
        plan.recipe,
        train=data,
        validation=honest.validation,
        rounds=plan.rounds,
        class_counts=plan.class_counts,
        seed=honest.seed,
        memory=honest.memory,
    )
    return HostileTrainer(attack.kind, honest, spoiled, clinics, parts_of(shared_classifier(plan.model)))


def exchanged(data: LabelledImages, classes: int) -> LabelledImages:
    """The images with each label replaced by the next class."""
    return replace(data, labels=(data.labels + 1) % classes)


def patched_too(data: LabelledImages) -> LabelledImages:
    """The images, and after them the same with a patch, as images of the target class."""
    more = data.metadata
    return LabelledImages(
        np.concatenate([data.images, patched(data.images)]),
        np.concatenate([data.labels, np.full_like(data.labels, TARGET)]),
        None if more is None else np.concatenate([more, more]),
    )


def patched(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The images, uint8 (N, S, S, 3), with a coloured square in the lower right corner."""
    side = images.shape[1] // PATCH_SHARE
    result = images.copy()
    result[:, -side:, -side:] = PATCH_COLOUR
    return result
