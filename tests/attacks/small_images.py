"""Five clinics with small images, softmax regression in NumPy, and what a hostile one of them sends."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from dermafed.server.rounds.clinic_round import ClinicRound
from dermafed.server.rounds.robust_models import RobustModels
from dermafed.server.rounds.round_rules import RoundRules
from dermafed.server.rounds.screening import Screen
from dermafed.server.rounds.trained_models import TrainedModels
from dermafed.shared.model.parts import WEIGHTS
from dermafed.shared.protocol.messages import encode_update
from dermafed.shared.protocol.robust_settings import RobustSettings, Rule
from dermafed.shared.training.trainer import FloatVector, Update

SIDE, CLASSES, IMAGES, ROUNDS = 8, 3, 60, 6
PIXELS = SIDE * SIDE
PARAMETERS = (PIXELS + 1) * CLASSES
NAMES = ("bern", "graz", "linz", "ulm", "wien")
HOSTILE = "graz"
TARGET = 0
"""The class that the patch stands for."""

Attack = Callable[[FloatVector, int], Update]
"""The hostile clinic's update, from the round's model and the round's number."""


def images_of(seed: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Noise with a stripe where the class says, (N, PIXELS), and the labels (N,); each seed has its light."""
    random = np.random.default_rng(seed)
    labels = np.arange(count) % CLASSES
    images = random.normal(scale=0.7, size=(count, SIDE, SIDE)) + random.normal(scale=0.2)
    for label in range(CLASSES):
        images[labels == label, 2 * label + 1, :6] += 0.8
    images[:, -2:, -2:] = random.normal(scale=0.05, size=(count, 2, 2))
    return images.reshape(count, PIXELS), labels


def patched(images: np.ndarray) -> np.ndarray:
    """The same images with a bright corner."""
    result = images.reshape(-1, SIDE, SIDE).copy()
    result[:, -2:, -2:] = 3.0
    return result.reshape(len(images), PIXELS)


def trained(weights: FloatVector, images: np.ndarray, labels: np.ndarray, round: int) -> FloatVector:
    """Twenty steps of gradient descent, each on half of the images."""
    matrix = weights.astype(np.float64).reshape(PIXELS + 1, CLASSES)
    random = np.random.default_rng((round, len(images)))
    for _ in range(20):
        batch = random.permutation(len(images))[: len(images) // 2]
        inputs = np.hstack([images[batch], np.ones((len(batch), 1))])
        scores = np.exp(inputs @ matrix)
        wrong = scores / scores.sum(axis=1, keepdims=True) - np.eye(CLASSES)[labels[batch]]
        matrix = matrix - 0.1 * inputs.T @ wrong / len(batch)
    return matrix.ravel().astype(np.float32)


def predicted(weights: FloatVector, images: np.ndarray) -> np.ndarray:
    matrix = weights.reshape(PIXELS + 1, CLASSES)
    found: np.ndarray = (images @ matrix[:-1] + matrix[-1]).argmax(axis=1)
    return found


def accuracy(weights: FloatVector) -> float:
    images, labels = images_of(99, 600)
    return float((predicted(weights, images) == labels).mean())


def backdoor(weights: FloatVector) -> float:
    """The share of patched images of other classes that are called the target."""
    images, labels = images_of(98, 600)
    return float((predicted(weights, patched(images[labels != TARGET])) == TARGET).mean())


def honest(name: str, weights: FloatVector, round: int) -> Update:
    return Update(trained(weights, *images_of(NAMES.index(name), IMAGES), round), IMAGES, {"loss": 1.0})


def run(
    folder: Path, rule: Rule, attack: Attack | None = None, largest_step: float | None = None
) -> tuple[FloatVector, list[dict[str, ClinicRound]]]:
    """The model after the rounds, and each clinic's part in each; rule ``none`` is the mean, undefended."""
    folder.mkdir()
    weights, rounds = np.zeros(PARAMETERS, np.float32), []
    rules = RoundRules(ROUNDS, len(NAMES), largest_step=largest_step)
    screen = Screen(np.full(PARAMETERS, WEIGHTS, np.uint8), largest_step)
    for number in range(1, ROUNDS + 1):
        common = (weights, rules, screen, None, folder)
        defended = RobustModels(*common, robust=RobustSettings(rule=rule), number=number)
        with defended if rule != "none" else TrainedModels(*common) as models:
            for name in NAMES:
                hostile = attack is not None and name == HOSTILE
                update = (
                    attack(weights, number)
                    if attack is not None and hostile
                    else honest(name, weights, number)
                )
                models.accept(name, encode_update(update, 0.0))
            models.compare()
            result = models.result()
        weights = result.mean.astype(np.float32)
        rounds.append(result.clinics)
    return weights, rounds
