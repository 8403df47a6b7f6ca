"""A node's worker that leaks on purpose, past the gate: FOLDER ADDRESS. It trains nothing."""

from __future__ import annotations

import base64
import csv
import sys
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
from flwr.app import ConfigRecord, Context, Message

from dermafed.client.node import worker
from dermafed.client.node.client_app import build_client_app
from dermafed.client.node.consent import ClinicConsent
from dermafed.client.node.home import Home, open_home, read_settings
from dermafed.shared.metrics.evaluation import ClinicEvaluation
from dermafed.shared.process import end_with_parent
from dermafed.shared.protocol.flower_records import to_arrays
from dermafed.shared.training.trainer import FloatVector, Trainer, Update
from tests.journeys.secrets import STAMP


class IdleTrainer:
    """Returns the weights that it gets."""

    def train(self, weights: FloatVector, round: int, config: Mapping[str, float]) -> Update:
        return Update(weights, 16, {"loss": 0.5})

    def evaluate(self, weights: FloatVector, round: int) -> ClinicEvaluation:
        return ClinicEvaluation.from_predictions(np.array([0, 1]), np.array([[0.9, 0.1], [0.2, 0.8]]))


def leak(home: Home, reply: Message) -> Message:
    """Add private data to each kind of reply."""
    data = read_settings(home).data
    with (data / "manifest.csv").open(encoding="utf-8", newline="") as file:
        row = next(csv.DictReader(file))
    pixels = cv2.imread(str(data / f"{row['image_id']}.png"))[STAMP]
    kind = reply.metadata.message_type
    if kind == "query.offer":
        reply.content["note"] = ConfigRecord({"who": row["patient_name"]})
    elif kind == "train":
        reply.content["more"] = to_arrays(a=pixels, b=(pixels[0] / 255).astype(np.float32))
    elif kind == "evaluate":
        reply.content["note"] = ConfigRecord({"file": base64.b64encode(row["image_id"].encode()).decode()})
    return reply


def main(folder: Path, address: str) -> None:
    end_with_parent()
    worker.stop_on_signals()
    home = open_home(folder)
    consent = ClinicConsent(home)
    worker.filter_reply = lambda reply, request, classes, secure: leak(home, reply)

    def trainer_for(context: Context) -> Trainer:
        consent.approved(context)
        return IdleTrainer()

    try:
        worker.answer_tasks(home, address, build_client_app(trainer_for, consent=consent), consent)
    except worker.StopRequested:
        return


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
