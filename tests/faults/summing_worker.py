"""A worker that dies, or waits, at a step of a secure sum; run as a node's worker: FOLDER ADDRESS.

The file ``steps.json`` in the folder has what it does at which step: a list of [action, label, round,
attempt, kind of message]. It is a clinic in all else, with consent, gate and audit log, whose trainer
moves each weight by a hundredth.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from flwr.app import Context, Message

from dermafed.client.node import worker
from dermafed.client.node.client_app import build_client_app
from dermafed.client.node.clinic_sums import ClinicSums
from dermafed.client.node.consent import ClinicConsent
from dermafed.client.node.home import open_home
from dermafed.shared.errors import FederationError
from dermafed.shared.metrics.evaluation import ClinicEvaluation
from dermafed.shared.process import end_with_parent
from dermafed.shared.protocol.sum_messages import decode_step
from dermafed.shared.training.trainer import FloatVector, Update

STEPS_FILE, AT_STEP = "steps.json", "at-step"
DIE, WAIT = "die", "wait"


class Moving:
    """A trainer that moves each weight by a hundredth."""

    def train(self, weights: FloatVector, round: int, config: Mapping[str, float]) -> Update:
        return Update(weights + np.float32(0.01), 1, {"loss": 0.5})

    def evaluate(self, weights: FloatVector, round: int) -> ClinicEvaluation:
        return ClinicEvaluation.from_predictions(np.arange(12) % 3, np.full((12, 3), 1 / 3))


def act(folder: Path, message: Message) -> None:
    """Do what the file says for this message, once."""
    try:
        of, _ = decode_step(message.content)
        steps = json.loads((folder / STEPS_FILE).read_text())
    except (FederationError, OSError):
        return
    at = [of.label, of.round, of.attempt, message.metadata.message_type]
    action = next((step[0] for step in steps if step[1:] == at), "")
    (folder / STEPS_FILE).write_text(json.dumps([step for step in steps if step[1:] != at]))
    if action == DIE:
        os.kill(os.getpid(), signal.SIGKILL)
    if action == WAIT:
        (folder / AT_STEP).touch()
        while (folder / AT_STEP).exists():
            time.sleep(0.1)


def main(folder: Path, address: str) -> None:
    end_with_parent()
    worker.stop_on_signals()
    home = open_home(folder)
    consent = ClinicConsent(home)
    sums = ClinicSums(consent.summand)
    app = build_client_app(lambda context: Moving(), consent=consent, sums=sums)

    def answer(message: Message, context: Context) -> Message:
        act(folder, message)
        return app(message, context)

    try:
        worker.answer_tasks(home, address, answer, consent)  # type: ignore[arg-type]
    except worker.StopRequested:
        return


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
