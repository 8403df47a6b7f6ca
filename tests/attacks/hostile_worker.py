"""The worker of a hostile clinic: our code, but for its replies; run as a node's worker: FOLDER ADDRESS.

In every round it steps too far, claims a large weight, and calls the model right about 999,999 images; in the
first two of a run called ``attacked`` its replies are wrong in other ways too.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from flwr.app import Message, MetricRecord

from dermafed.client.node.consent import ApprovedRun
from dermafed.shared.metrics.evaluation import ClinicEvaluation
from dermafed.shared.protocol.flower_records import to_arrays
from dermafed.shared.training.trainer import FloatVector, Update
from tests.faults.false_replies_worker import answer

ATTACKED = "attacked"
LARGE_LOSS, EXTRA_RECORD, LONG_STEP = 1, 2, 3
"""The rounds of its attacks; in the last one nothing is wrong with the reply but its step and its weight."""

STEP = 0.01
"""Of every weight: many times as long as an honest step."""

IMAGES = 999_999
EXTRA_BYTES = 80_000_000
ESCAPE = "\x1b[2J\x1b[31mgraz is hostile\r\n"


class Hostile:
    """A trainer with long steps, a large weight and a large word."""

    def __init__(self, run: ApprovedRun) -> None:
        self.classes, self.name = len(run.offer.model.classes), run.offer.name

    def train(self, weights: FloatVector, round: int, config: Mapping[str, float]) -> Update:
        loss = 1e308 if (self.name, round) == (ATTACKED, LARGE_LOSS) else 0.5
        return Update(weights + STEP, 1_000_000, {"loss": loss})

    def evaluate(self, weights: FloatVector, round: int) -> ClinicEvaluation:
        labels = np.arange(IMAGES) % self.classes
        return ClinicEvaluation.from_predictions(labels, np.eye(self.classes)[labels])


def change(reply: Message, asked: Message) -> Message:
    """Add what no clinic sends: many bytes to a training's reply, terminal codes to an evaluation's."""
    if asked.metadata.group_id == str(EXTRA_RECORD) and not reply.has_error():
        if asked.metadata.message_type == "train":
            extra = np.random.default_rng(0).integers(0, 256, EXTRA_BYTES, np.uint8)
            reply.content["more"] = to_arrays(more=extra)
        else:
            reply.content[ESCAPE] = MetricRecord({ESCAPE: 1.0})
    return reply


if __name__ == "__main__":
    answer(Path(sys.argv[1]), sys.argv[2], Hostile, change)
