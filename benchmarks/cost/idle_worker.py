"""A clinic's worker with everything of the real one but the training: FOLDER ADDRESS."""

from __future__ import annotations

import sys
from pathlib import Path

from flwr.app import Context

from benchmarks.cost.idle import Idle
from dermafed.client.node.client_app import build_client_app
from dermafed.client.node.consent import ClinicConsent
from dermafed.client.node.home import open_home
from dermafed.client.node.worker import StopRequested, answer_tasks, stop_on_signals
from dermafed.shared.process import end_with_parent
from dermafed.shared.training.trainer import Trainer


def main(folder: Path, address: str) -> None:
    end_with_parent()
    stop_on_signals()
    home = open_home(folder)
    consent, idle = ClinicConsent(home), Idle()

    def trainer_for(context: Context) -> Trainer:
        consent.approved(context)
        return idle

    try:
        answer_tasks(home, address, build_client_app(trainer_for, consent=consent), consent)
    except StopRequested:
        return


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
