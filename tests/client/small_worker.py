"""A worker whose training is trivial; run as the node's worker in tests: FOLDER ADDRESS."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from flwr.app import Context

from dermafed.client.node.client_app import build_client_app
from dermafed.client.node.consent import ClinicConsent
from dermafed.client.node.home import open_home
from dermafed.client.node.worker import StopRequested, answer_tasks, stop_on_signals
from dermafed.shared.metrics.evaluation import ClinicEvaluation
from dermafed.shared.process import end_with_parent
from dermafed.shared.training.trainer import FloatVector, Trainer, Update


class Adding:
    """Adds 1 to every weight; takes as many seconds as the server says, for tests that disturb it."""

    def train(self, weights: FloatVector, round: int, config: Mapping[str, float]) -> Update:
        for _ in range(int(10 * config.get("seconds", 0))):
            time.sleep(0.1)
        if config.get("fail"):
            raise ValueError("Jane Doe's image cannot be read")
        return Update(weights + 1, 7, {"loss": 0.5})

    def evaluate(self, weights: FloatVector, round: int) -> ClinicEvaluation:
        return ClinicEvaluation.from_predictions(np.array([0, 1]), np.array([[0.9, 0.1], [0.2, 0.8]]))


def main(folder: Path, address: str) -> None:
    end_with_parent()
    stop_on_signals()
    home = open_home(folder)
    consent = ClinicConsent(home)

    def trainer_for(context: Context) -> Trainer:
        consent.approved(context)
        return Adding()

    try:
        answer_tasks(home, address, build_client_app(trainer_for, consent=consent), consent)
    except StopRequested:
        return


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
