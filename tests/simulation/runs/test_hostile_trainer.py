"""What a simulated hostile clinic sends, by hand; and what its patch is."""

from __future__ import annotations

import numpy as np
import pytest

from dermafed.shared.metrics.evaluation import ClinicEvaluation
from dermafed.shared.model.parts import VARIANCES, WEIGHTS
from dermafed.shared.training.data import LabelledImages
from dermafed.shared.training.trainer import FloatVector, Update
from dermafed.simulation.runs.attack_settings import AttackKind
from dermafed.simulation.runs.hostile_trainer import HostileTrainer, exchanged, patched_too

PARTS = np.array([WEIGHTS, WEIGHTS, VARIANCES], np.uint8)


class Constant:
    """Adds the same to all, times the round."""

    def __init__(self, step: float) -> None:
        self.step = step

    def train(self, weights: FloatVector, round: int, config: object) -> Update:
        return Update(weights + np.float32(self.step * round), 7, {"loss": 1.0})

    def evaluate(self, weights: FloatVector, round: int) -> ClinicEvaluation:
        return ClinicEvaluation.from_predictions(np.zeros(1, np.int64), np.eye(2)[:1])


@pytest.mark.parametrize(
    ("kind", "sent", "weight"),
    [
        ("labels", (-2.0, -2.0, -2.0), 70),
        ("scaled", (-20.0, -20.0, -2.0), 7),
        ("flipped", (-10.0, -10.0, 2.0), 7),
        ("backdoor", (-10.0, -10.0, -2.0), 7),
        ("quiet-backdoor", (-4.0, -4.0, -2.0), 7),
        ("free-rider", (0.0, 0.0, 0.0), 7),
        ("replay", (1.0, 1.0, 2.0), 7),
    ],
)
def test_each_attack_worked_out_by_hand(kind: AttackKind, sent: tuple[float, ...], weight: int) -> None:
    """In round 2, where an honest step is 2 and that of spoiled images -2; statistics are as trained."""
    trainer, start = HostileTrainer(kind, Constant(1), Constant(-1), 5, PARTS), np.ones(3, np.float32)
    trainer.train(start, 1, {})
    found = trainer.train(start, 2, {})
    assert (found.weights - start).tolist() == list(sent)
    assert found.weight == weight
    assert trainer.evaluate(start, 1).images == 1


def test_a_patch_is_a_square_in_the_corner_and_labels_are_exchanged() -> None:
    images = np.zeros((2, 16, 16, 3), np.uint8)
    data = LabelledImages(images, np.array([1, 2]), np.ones((2, 1), np.float32))
    assert exchanged(data, 3).labels.tolist() == [2, 0]
    more = patched_too(data)
    assert more.labels.tolist() == [1, 2, 0, 0]
    assert more.metadata is not None
    assert more.metadata.shape == (4, 1)
    changed = np.argwhere(more.images[2:] != 0)
    assert changed[:, 1].min() == changed[:, 2].min() == 14
    assert (more.images[2, 14:, 14:] == (255, 0, 255)).all()
    assert not images.any()
