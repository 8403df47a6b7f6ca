"""A worker that sends false replies, each round in another way; run as a node's worker: FOLDER ADDRESS.

With a file ``other_run`` in the folder, its update is one for another run.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from flwr.app import Context, Message

from dermafed.client.node import worker
from dermafed.client.node.client_app import build_client_app
from dermafed.client.node.consent import ApprovedRun, ClinicConsent
from dermafed.client.node.home import open_home
from dermafed.shared.metrics.evaluation import ClinicEvaluation
from dermafed.shared.process import end_with_parent
from dermafed.shared.training.trainer import FloatVector, Trainer, Update

LOSS = {"loss": 0.5}


class FalseReplies:
    """Round 1: not a number; 2: too few weights; 3: a thousand million images."""

    def __init__(self, classes: int) -> None:
        self.classes = classes

    def train(self, weights: FloatVector, round: int, config: Mapping[str, float]) -> Update:
        if round == 1:
            return Update(np.full_like(weights, np.nan), 7, LOSS)
        if round == 2:
            return Update(weights[:-1], 7, LOSS)
        return Update(weights, 10**9 if round == 3 else 7, LOSS)

    def evaluate(self, weights: FloatVector, round: int) -> ClinicEvaluation:
        scores = np.full((self.classes, self.classes), 1 / self.classes)
        return ClinicEvaluation.from_predictions(np.arange(self.classes), scores)


def answer(
    folder: Path,
    address: str,
    trainer: Callable[[ApprovedRun], Trainer],
    change: Callable[[Message, Message], Message],
) -> None:
    """The worker of a clinic whose code is its own: no gate, but a change of each reply to what was asked."""
    end_with_parent()
    worker.stop_on_signals()
    home = open_home(folder)
    worker.filter_reply = lambda reply, asked, classes, secure: change(reply, asked)
    consent = ClinicConsent(home)

    def trainer_for(context: Context) -> Trainer:
        return trainer(consent.approved(context))

    try:
        worker.answer_tasks(home, address, build_client_app(trainer_for, consent=consent), consent)
    except worker.StopRequested:
        return


def main(folder: Path, address: str) -> None:
    def change(reply: Message, asked: Message) -> Message:
        if (folder / "other_run").exists() and asked.metadata.message_type == "train":
            reply.metadata.__dict__["_run_id"] = asked.metadata.run_id - 1
        return reply

    answer(folder, address, lambda run: FalseReplies(len(run.offer.model.classes)), change)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
