"""``fl-client start`` with a trainer that takes no time, so that a round's cost is that of the federation.

Arguments: FOLDER for the node; FOLDER ADDRESS for its worker, which the node starts.
"""

from __future__ import annotations

import sys
from pathlib import Path

from flwr.app import Context

from benchmarks.cost.idle_trainer import IdleTrainer
from dermafed.client.node.client_app import build_client_app
from dermafed.client.node.consent import ClinicConsent
from dermafed.client.node.home import open_home
from dermafed.client.node.supervisor import run_node
from dermafed.client.node.worker import StopRequested, answer_tasks, stop_on_signals
from dermafed.shared.process import end_with_parent
from dermafed.shared.training.trainer import Trainer


def run_worker(folder: Path, address: str) -> None:
    """A clinic's worker with everything of the real one but the training."""
    end_with_parent()
    stop_on_signals()
    home = open_home(folder)
    consent, trainer = ClinicConsent(home), IdleTrainer()

    def trainer_for(context: Context) -> Trainer:
        consent.approved(context)
        return trainer

    try:
        answer_tasks(home, address, build_client_app(trainer_for, consent=consent), consent)
    except StopRequested:
        return


if __name__ == "__main__":
    folder, *address = sys.argv[1:]
    if address:
        run_worker(Path(folder), *address)
    else:
        run_node(open_home(Path(folder)), print, ("-m", "benchmarks.cost.idle_node"))
