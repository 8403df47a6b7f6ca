"""One hostile clinic of nine under secure sums: its update is unseen, and a rule over groups bears it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from dermafed.server.rounds.checkpoint import RunState
from dermafed.shared.metrics.evaluation import ClinicEvaluation
from dermafed.shared.protocol.robust_settings import NO_RULE, RobustSettings, Rule
from dermafed.shared.training.trainer import FloatVector, Update
from tests.attacks.small_images import CLASSES, IMAGES, PARAMETERS, PIXELS, accuracy, images_of, trained
from tests.server.summing_clinics import Clinics
from tests.shared.secure_sum.conftest import each_signature_checked_once as each_signature_checked_once

pytestmark = pytest.mark.usefixtures("each_signature_checked_once")

NAMES = ("bern", "chur", "graz", "linz", "nice", "oslo", "riga", "ulm", "wien")
HOSTILE = NAMES.index("graz")
POINTS, ROUNDS = 0.03, 4
OTHERS: tuple[Rule, ...] = ("trimmed-mean", "norm-bound", "geometric-median", "centred-clipping")


def wrong_labels(weights: FloatVector, number: int) -> FloatVector:
    images, labels = images_of(HOSTILE, IMAGES)
    return weights + 20 * (trained(weights, images, (labels + 1) % CLASSES, number) - weights)


def opposite(weights: FloatVector, number: int) -> FloatVector:
    return weights - 20 * (trained(weights, *images_of(HOSTILE, IMAGES), number) - weights)


def noise(weights: FloatVector, number: int) -> FloatVector:
    return weights + np.random.default_rng(number).normal(scale=10, size=weights.size)


SPOIL = {attack.__name__: attack for attack in (wrong_labels, opposite, noise)}


@dataclass(frozen=True)
class Small:
    """A clinic's trainer; the hostile one's sends what its attack makes of the model."""

    clinic: int
    attack: str = ""

    def train(self, weights: FloatVector, round: int, config: Mapping[str, float]) -> Update:
        if self.attack and self.clinic == HOSTILE:
            found = SPOIL[self.attack](weights, round)
        else:
            found = trained(weights, *images_of(self.clinic, IMAGES), round)
        return Update(found.astype(np.float32), IMAGES, {"loss": 1.0})

    def evaluate(self, weights: FloatVector, round: int) -> ClinicEvaluation:
        images, labels = images_of(100 + self.clinic, IMAGES)
        matrix = weights.astype(np.float64).reshape(PIXELS + 1, CLASSES)
        logits = images @ matrix[:-1] + matrix[-1]
        scores = np.exp(logits - logits.max(axis=1, keepdims=True))
        return ClinicEvaluation.from_predictions(labels, scores / scores.sum(axis=1, keepdims=True))


def run(folder: Path, robust: RobustSettings, attack: str = "") -> RunState:
    sizes = (IMAGES,) * len(NAMES)
    clinics = Clinics(
        NAMES, sizes, {"colluders": 0}, trainer=lambda clinic: Small(clinic, attack), robust=robust
    )
    return clinics.run(folder, rounds=ROUNDS, start=np.zeros(PARAMETERS, np.float32))


@pytest.fixture(scope="module")
def unattacked(tmp_path_factory: pytest.TempPathFactory) -> float:
    found = accuracy(run(tmp_path_factory.mktemp("unattacked"), RobustSettings(rule="median")).weights)
    assert found > 0.9
    return found


@pytest.mark.parametrize(
    ("rule", "attack"), [*(("median", name) for name in SPOIL), *((rule, "opposite") for rule in OTHERS)]
)
def test_a_rule_over_groups_bears_what_spoils_the_sum(
    tmp_path: Path, unattacked: float, rule: Rule, attack: str
) -> None:
    state = run(tmp_path / "run", RobustSettings(rule=rule), attack)
    assert accuracy(state.weights) >= unattacked - POINTS
    # Nobody knows which of its group it is; it is the one that is noted in each round.
    noted = [{one.clinic for one in row.clinics if one.note} for row in state.history]
    assert all(NAMES[HOSTILE] in names for names in noted)
    assert not any(row.rolled_back for row in state.history)


def test_it_spoils_the_sum(tmp_path: Path) -> None:
    """The control: secure sums over all, without a rule."""
    assert accuracy(run(tmp_path / "free", NO_RULE).weights) > 0.9
    for attack in SPOIL:
        assert accuracy(run(tmp_path / attack, NO_RULE, attack).weights) < 0.7, attack
