"""What the server makes of a clinic's replies; the first byte says which, the rest what is changed of it."""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Callable
from functools import reduce
from operator import add
from pathlib import Path

import numpy as np
from flwr.app import RecordDict

from dermafed.server.rounds.evaluations import Evaluations
from dermafed.server.rounds.round_rules import RoundRules
from dermafed.server.rounds.screening import Screen
from dermafed.server.rounds.shares import members_of
from dermafed.server.rounds.trained_models import TrainedModels
from dermafed.shared.errors import FederationError
from dermafed.shared.explain.quality.quality_sums import MEASURES, ExplanationQuality
from dermafed.shared.metrics.calibration.calibration import Calibration
from dermafed.shared.metrics.calibration.calibration_sums import CalibrationSums
from dermafed.shared.metrics.evaluation import ClinicEvaluation
from dermafed.shared.model.parts import PARTS
from dermafed.shared.protocol.agreement import (
    Answer,
    Decision,
    Reason,
    decode_answer,
    decode_ready,
    encode_answer,
    encode_ready,
)
from dermafed.shared.protocol.calibration_messages import (
    decode_calibration,
    decode_calibration_sums,
    encode_calibration,
    encode_calibration_sums,
)
from dermafed.shared.protocol.explanation_messages import (
    decode_explanation_quality,
    encode_explanation_quality,
)
from dermafed.shared.protocol.messages import encode_evaluation, encode_update
from dermafed.shared.protocol.sum_messages import decode_sum, encode_sum
from dermafed.shared.secure_sum.masked_vector import MaskedVector
from dermafed.shared.training.trainer import Update
from tests.fuzzing.edits import read_edited, seeds_of
from tests.fuzzing.target import outcome

CLASSES, PARAMETERS = 3, 18
COUNTS = {"graz": (8, 8, 7), "linz": (20, 20, 20), "vienna": (3, 2, 2)}
MEMBERS = members_of(COUNTS, "logits")
RULES = RoundRules(3, 3, largest_share=0.5, largest_step=3.0)
START = np.linspace(-1, 1, PARAMETERS, dtype=np.float32)
SCREEN = Screen((np.arange(PARAMETERS) % len(PARTS)).astype(np.uint8), 3.0)
HOSTILE, HONEST = "graz", ("linz", "vienna")

_folder = tempfile.TemporaryDirectory(prefix="fuzz-")


def _step(size: float) -> RecordDict:
    return encode_update(Update(np.abs(START) + np.float32(size), 23, {"loss": 1.0}), 1.5)


_random = np.random.default_rng(1)
_labels = np.arange(21) % CLASSES
_scores = _random.dirichlet(np.ones(CLASSES), _labels.size)
_evaluation = ClinicEvaluation.from_predictions(_labels, _scores)
_quality = ExplanationQuality.from_scores(
    [dict.fromkeys(MEASURES, each) for each in (0.0, 1.0, 1.0, 1.0, 0.0)]
)
_sums = CalibrationSums.of(np.log(_scores), _labels)
_versions = {"dermafed": "0.1.0", "keras": "3.12.0"}
_answer = Answer(Decision.APPROVED, Reason.NONE, _versions, np.array(COUNTS[HOSTILE]))

REPLIES = (
    _step(0.01),
    encode_evaluation(_evaluation, 1.0),
    encode_explanation_quality(_quality, 1.0),
    encode_calibration_sums(_sums, 1.0),
    encode_answer(_answer),
    encode_ready(1.0),
    encode_sum(MaskedVector(2, np.arange(PARAMETERS, dtype=np.uint32)).to_bytes()),
)


def update(content: RecordDict) -> str:
    """The round goes on with the honest clinics, whatever the hostile one sends."""
    with TrainedModels(START, RULES, SCREEN, MEMBERS, Path(_folder.name)) as models:
        for clinic, size in zip(HONEST, (0.02, 0.03), strict=True):
            models.accept(clinic, _step(size))
        refused = _refused(lambda: models.accept(HOSTILE, content))
        models.compare()
        trained = models.result()
    assert np.isfinite(trained.mean).all()
    assert math.isfinite(trained.loss) or refused is None  # a clinic may report none
    assert all(one.note.isprintable() and one.share <= 0.5 for one in trained.clinics.values())
    _raise(refused)
    return "received"


def evaluation(content: RecordDict) -> str:
    evaluations = Evaluations(CLASSES, RULES, MEMBERS)
    for clinic in HONEST:
        evaluations.accept(clinic, REPLIES[1])
    refused = _refused(lambda: evaluations.accept(HOSTILE, content))
    found = evaluations.result()
    assert math.isfinite(found.loss)
    assert all(0 <= value <= 1 for value in (found.accuracy, found.balanced_accuracy, found.auc))
    _raise(refused)
    return "received"


def quality(content: RecordDict) -> str:
    received, _ = decode_explanation_quality(content)
    json.dumps(reduce(add, (received, _quality)).summary(), allow_nan=False)
    return "received"


def sums(content: RecordDict) -> str:
    received, _ = decode_calibration_sums(content, CLASSES)
    if received.temperature != 1:
        raise FederationError("it used another temperature")
    together = _sums + received
    assert math.isfinite(together.best_temperature)
    decode_calibration(encode_calibration(Calibration("0" * 64, ("a", "b", "c"), together, 2)))
    return "received"


def answer(content: RecordDict) -> str:
    received = decode_answer(content, CLASSES)
    assert all(text.isprintable() for text in received.versions.values())
    if received.class_counts is not None and 1 <= sum(map(int, received.class_counts)) <= RULES.most_images:
        members = members_of({**COUNTS, HOSTILE: tuple(map(int, received.class_counts))}, "logits")
        assert all(member.weight >= 1 for member in members.values())
    return "received"


def ready(content: RecordDict) -> str:
    assert 0 <= decode_ready(content) < math.inf
    return "received"


def masked(content: RecordDict) -> str:
    received = MaskedVector.from_bytes(decode_sum(content), PARAMETERS)
    assert (received.values.dtype, received.values.shape) == (np.uint32, (PARAMETERS,))
    return "received"


READERS: tuple[Callable[[RecordDict], str], ...] = (
    *(update, evaluation, quality, sums, answer, ready, masked),
)


def take(data: bytes) -> str:
    return outcome(lambda data: read_edited(data, REPLIES, READERS), data)


def seeds() -> list[bytes]:
    return seeds_of(REPLIES)


def _refused(accept: Callable[[], object]) -> FederationError | None:
    try:
        accept()
    except FederationError as error:
        return error
    return None


def _raise(error: FederationError | None) -> None:
    if error is not None:
        raise error
