"""A worker that dies, or waits, at a step of a secure sum; run as a node's worker: FOLDER ADDRESS.

The file ``steps.json`` in the folder has what it does at which step: a list of [action, label, round,
attempt, kind of message]. It is a clinic in all else, with consent, gate and audit log, whose trainer
moves each weight by a hundredth, and where a file ``hostile`` is in the folder far to the other side.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from flwr.app import Context, Message
from flwr.clientapp import ClientApp

from dermafed.client.node import worker
from dermafed.client.node.client_app import build_client_app
from dermafed.client.node.clinic_sums import ClinicSums
from dermafed.client.node.consent import ClinicConsent
from dermafed.client.node.home import Home, open_home
from dermafed.shared.errors import FederationError
from dermafed.shared.metrics.evaluation import ClinicEvaluation
from dermafed.shared.process import end_with_parent
from dermafed.shared.protocol.sum_messages import decode_step
from dermafed.shared.training.trainer import FloatVector, Update

STEPS_FILE, AT_STEP, HOSTILE = "steps.json", "at-step", "hostile"
FAR = -8.0
DIE, WAIT = "die", "wait"


def does(folder: Path, *steps: tuple[str, str, int, int, str]) -> None:
    """Have the clinic in a folder do this, each once."""
    (folder / STEPS_FILE).write_text(json.dumps(steps))


@dataclass(frozen=True)
class Moving:
    """A trainer that moves each weight by a step.

    Attributes:
        step: how far.
    """

    step: float

    def train(self, weights: FloatVector, round: int, config: Mapping[str, float]) -> Update:
        return Update(weights + np.float32(self.step), 1, {"loss": 0.5})

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


def moving_app(home: Home) -> tuple[ClientApp, ClinicConsent]:
    """The app of a clinic with the trainer above."""
    consent = ClinicConsent(home)
    sums = ClinicSums(consent.summand)

    def trainer(context: Context) -> Moving:
        return Moving(FAR if (home.folder / HOSTILE).exists() else 0.01)

    return build_client_app(trainer, consent=consent, sums=sums), consent


def main(
    folder: Path, address: str, build: Callable[[Home], tuple[ClientApp, ClinicConsent]] = moving_app
) -> None:
    end_with_parent()
    worker.stop_on_signals()
    home = open_home(folder)
    app, consent = build(home)

    def answer(message: Message, context: Context) -> Message:
        act(folder, message)
        return app(message, context)

    try:
        worker.answer_tasks(home, address, answer, consent)  # type: ignore[arg-type]
    except worker.StopRequested:
        return


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
