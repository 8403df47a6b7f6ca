"""Over clinics: a simulated round, and the server's sum of the updates, by mean and by rules.

The clinics of the round do not train and have 700 weights, so that what is left is what a clinic costs. The
updates that are added up have 10,000 weights, and wait on the disk for each other.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp

import numpy as np
from flwr.app import RecordDict

from benchmarks.cost.idle_trainer import IMAGES, IdleTrainer
from benchmarks.federation import TINY
from benchmarks.growth.cost import Cost, cost
from dermafed.client.node.client_app import build_client_app
from dermafed.server.rounds.robust_models import RobustModels
from dermafed.server.rounds.round_rules import RoundRules
from dermafed.server.rounds.screening import Screen
from dermafed.server.rounds.server_app import build_server_app
from dermafed.server.rounds.trained_models import TrainedModels
from dermafed.shared.protocol.messages import encode_update
from dermafed.shared.protocol.robust_settings import RobustSettings, Rule, least_clinics
from dermafed.shared.training.trainer import FloatVector, Update
from dermafed.simulation.engines.local import run_local

VARIABLE = "clinics"
SIZES = (3, 10, 30, 60, 100, 170, 300, 550, 1000)
LARGER = 5

PARAMETERS = 10_000
_ROUNDS = 2
_DIFFERENT = 16  # updates; clinics share them, so that they take no memory of their own
RULES: tuple[Rule, ...] = ("none", "median", "geometric-median", "krum")


def costs(clinics: int) -> Iterator[tuple[str, Cost]]:
    """The cost of each part for so many clinics."""
    yield "a simulated round", _round(clinics)
    updates = list(_updates())
    for rule in RULES:
        if clinics < least_clinics(rule, RobustSettings.hostile):
            continue
        name = "the server's mean" if rule == "none" else f"the server's {rule}"
        with TemporaryDirectory() as folder:
            yield (
                name,
                cost(partial(_combine, updates, clinics), partial(_models, rule, clinics, Path(folder))),
            )


def _round(clinics: int) -> Cost:
    """One round after the first, start and end of the run left out."""
    start = np.random.default_rng(0).normal(size=TINY).astype(np.float32)
    trainer, marks = IdleTrainer(), list[float]()

    def run(folder: Path) -> None:
        rules = RoundRules(_ROUNDS + 1, clinics)
        marks.clear()
        app = build_server_app(
            start, 3, rules, folder, on_round=lambda row: marks.append(time.process_time())
        )
        run_local(app, build_client_app(lambda context: trainer), clinics)

    with TemporaryDirectory() as folder:
        whole = cost(run, lambda: Path(mkdtemp(dir=folder)))
    seconds = min(after - before for before, after in pairwise(marks))
    return Cost(seconds, whole.megabytes)


def _updates() -> Iterator[RecordDict]:
    rng = np.random.default_rng(0)
    for _ in range(_DIFFERENT):
        weights = rng.normal(1, 0.01, PARAMETERS).astype(np.float32)
        yield encode_update(Update(weights, IMAGES, {"loss": 1.0}), 0.0)


def _models(rule: Rule, clinics: int, folder: Path) -> TrainedModels:
    start: FloatVector = np.ones(PARAMETERS, np.float32)
    given = (start, RoundRules(1, clinics), Screen(np.zeros(PARAMETERS, np.uint8)), None, folder)
    return TrainedModels(*given) if rule == "none" else RobustModels(*given, robust=RobustSettings(rule=rule))


def _combine(updates: list[RecordDict], clinics: int, models: TrainedModels) -> None:
    with models:
        for number in range(clinics):
            models.accept(f"clinic{number:04d}", updates[number % _DIFFERENT])
        models.compare()
        models.result()
