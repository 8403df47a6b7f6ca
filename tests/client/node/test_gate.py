"""The gate: every kind passes as it is defined, and nothing that was planted in it leaves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from flwr.app import ConfigRecord, Error, Message, MetricRecord, RecordDict

from dermafed.client.node.gate import filter_reply
from dermafed.shared.explain.quality.quality_sums import MEASURES, ExplanationQuality
from dermafed.shared.lesion_finder.finder_sums import FinderSums
from dermafed.shared.metrics.calibration.calibration_sums import CalibrationSums
from dermafed.shared.metrics.calibration.class_offsets import ClassOffsets
from dermafed.shared.metrics.calibration.offset_fit import FittedOffsets
from dermafed.shared.metrics.calibration.offset_sums import OffsetSums
from dermafed.shared.metrics.decision.score_histogram import ScoreHistogram
from dermafed.shared.metrics.evaluation import ClinicEvaluation
from dermafed.shared.protocol.agreement import (
    OFFER_QUERY,
    PREPARE_QUERY,
    Answer,
    Decision,
    Reason,
    encode_answer,
    encode_ready,
    installed_versions,
)
from dermafed.shared.protocol.audit_messages import encode_shortcut_sums
from dermafed.shared.protocol.calibration_messages import encode_calibration_sums
from dermafed.shared.protocol.count_messages import (
    COUNTS_QUERY,
    DRIFT_QUERY,
    encode_lesion_counts,
    encode_monthly_counts,
)
from dermafed.shared.protocol.explanation_messages import encode_explanation_quality
from dermafed.shared.protocol.finder_messages import encode_finder_sums
from dermafed.shared.protocol.flower_records import to_arrays
from dermafed.shared.protocol.head_messages import encode_head_sums
from dermafed.shared.protocol.messages import (
    AUDIT_QUERY,
    CALIBRATE_QUERY,
    CALIBRATION_QUERY,
    EXPLAIN_QUERY,
    FINDER_QUERY,
    HEAD_TRAIN,
    LESIONS_QUERY,
    OFFSETS_QUERY,
    SCORES_QUERY,
    SLOPES_TRAIN,
    Refusal,
    encode_evaluation,
    encode_instruction,
    encode_update,
)
from dermafed.shared.protocol.offset_messages import (
    OffsetsRequest,
    encode_offset_sums,
    encode_offsets_request,
)
from dermafed.shared.protocol.score_messages import ScoresRequest, encode_scores, encode_scores_request
from dermafed.shared.protocol.slope_messages import encode_slope_sums, encode_slopes_request
from dermafed.shared.training.exact_head.head_sums import HeadSums
from dermafed.shared.training.exact_head.ridge import LinearHead
from dermafed.shared.training.exact_head.slope_sums import SlopeSums
from dermafed.shared.training.trainer import Update
from dermafed.simulation.engines.local import become_server_task
from tests.shared.counts.sample_lesions import sample_counts
from tests.shared.counts.sample_months import sample_months
from tests.shared.metrics.decision.sample_lesions import two_classes
from tests.shared.metrics.shortcuts.sample_audit import sample_sums

WEIGHTS = np.arange(4, dtype=np.float32)
EVALUATION = ClinicEvaluation.from_predictions(np.array([0, 1]), np.array([[0.9, 0.1], [0.2, 0.8]]))
QUALITY = ExplanationQuality.from_scores([{next(iter(MEASURES)): 0.5}] * 5)
SUMS = CalibrationSums.of(np.eye(2).repeat(4, axis=0), np.arange(8) // 4, 2.0)
POINT = ClassOffsets(0.5, (0.1, -0.1))
SLOPES = OffsetSums.of(np.eye(2).repeat(6, axis=0), np.arange(12) // 6, POINT)
FITTED = FittedOffsets(POINT, (6, 6), 0.5, 5, 3, True)
SCORES = ScoreHistogram.of(two_classes(np.full(5, 0.7), np.full(6, 0.2)))
HEAD = LinearHead(np.ones((1, 2)), np.zeros(2))
HEAD_SLOPES = SlopeSums.of(np.eye(2)[:, :1], np.arange(2), np.ones(2), HEAD)
HEAD_SUMS = HeadSums.of(np.eye(2)[:, :1].repeat(4, axis=0), np.arange(8) // 4, np.ones(2))
FINDER_SUMS = FinderSums.of(np.eye(20).reshape(20, 2, 2, 5), np.full((20, 2, 2), 0.5))
ANSWER = Answer(Decision.APPROVED, versions=installed_versions(), class_counts=np.array([3, 4]))


CONTENTS: dict[str, Callable[[], RecordDict]] = {
    "train": lambda: encode_update(Update(WEIGHTS + 1, 7, {"loss": 0.5}), 1.5),
    HEAD_TRAIN: lambda: encode_head_sums(HEAD_SUMS, 1.5),
    SLOPES_TRAIN: lambda: encode_slope_sums(HEAD_SLOPES, 1.5),
    "evaluate": lambda: encode_evaluation(EVALUATION, 1.5),
    EXPLAIN_QUERY: lambda: encode_explanation_quality(QUALITY, 1.5),
    CALIBRATE_QUERY: lambda: encode_calibration_sums(SUMS, 1.5),
    OFFSETS_QUERY: lambda: encode_offset_sums(SLOPES, 1.5),
    SCORES_QUERY: lambda: encode_scores(SCORES, 1.5),
    CALIBRATION_QUERY: lambda: encode_ready(1.5),
    LESIONS_QUERY: lambda: encode_finder_sums(FINDER_SUMS, 1.5),
    FINDER_QUERY: lambda: encode_ready(1.5),
    AUDIT_QUERY: lambda: encode_shortcut_sums(sample_sums(), 1.5),
    COUNTS_QUERY: lambda: encode_lesion_counts(sample_counts()),
    DRIFT_QUERY: lambda: encode_monthly_counts(sample_months().published()),
    OFFER_QUERY: lambda: encode_answer(ANSWER),
    PREPARE_QUERY: lambda: encode_ready(1.5),
}
KINDS = list(CONTENTS)


def asked(kind: str) -> Message:
    become_server_task()
    if kind == OFFSETS_QUERY:
        return Message(encode_offsets_request(OffsetsRequest("a" * 64, 1, POINT)), 1000, kind)
    if kind == SCORES_QUERY:
        return Message(encode_scores_request(ScoresRequest("a" * 64, 1, FITTED)), 1000, kind)
    if kind == SLOPES_TRAIN:
        return Message(encode_slopes_request(WEIGHTS, 1, HEAD), 1000, kind)
    return Message(encode_instruction(WEIGHTS, 1, {}), 1000, kind)


def out(kind: str, content: RecordDict, classes: int | None = 2) -> Message:
    message = asked(kind)
    return filter_reply(Message(content, reply_to=message), message, classes)


@pytest.mark.parametrize("kind", KINDS)
def test_defined_content_passes_unchanged(kind: str) -> None:
    assert out(kind, CONTENTS[kind]()).content == CONTENTS[kind]()


def arrays(content: RecordDict) -> None:
    content["images"] = to_arrays(images=np.zeros((2, 4), np.uint8))


def text(content: RecordDict) -> None:
    content["note"] = ConfigRecord({"patient": "Jane Doe"})


def metrics(content: RecordDict) -> None:
    content["more"] = MetricRecord({"age": 54})


def field(content: RecordDict) -> None:
    for record in content.values():
        if isinstance(record, MetricRecord):
            record["age"] = 54.0
            return
        if isinstance(record, ConfigRecord):
            record["patient"] = "Jane Doe"
            return
    raise AssertionError


def array_beside(content: RecordDict) -> None:
    for record in content.array_records.values():
        record["image"] = to_arrays(image=np.zeros(4, np.uint8))["image"]
        return
    arrays(content)


def dtype(content: RecordDict) -> None:
    for record in content.array_records.values():
        for name in record:
            record[name] = to_arrays(x=record[name].numpy().astype(np.float16))["x"]
        return
    content["report"] = MetricRecord({"seconds": 1})


def hidden_bytes(content: RecordDict) -> None:
    """Bytes after an array's own, within what the server's reader forgives."""
    for record in content.array_records.values():
        for array in record.values():
            array.data += b"Jane Doe"
        return
    text(content)


PLANTED = [arrays, text, metrics, field, array_beside, dtype, hidden_bytes]


@pytest.mark.parametrize("plant", PLANTED, ids=lambda plant: plant.__name__)
@pytest.mark.parametrize("kind", KINDS)
def test_nothing_planted_leaves(kind: str, plant: Callable[[RecordDict], None]) -> None:
    content = CONTENTS[kind]()
    plant(content)
    reply = out(kind, content)
    assert (reply.error.code, reply.error.reason) == (Refusal.HELD_BACK, "HeldBack")


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("train", encode_update(Update(np.zeros(5, np.float32), 7, {}), 1)),
        ("train", encode_update(Update(WEIGHTS, 7, {"Jane Doe": 1.0}), 1)),
        ("train", encode_evaluation(EVALUATION, 1)),
        ("evaluate", encode_update(Update(WEIGHTS, 7, {}), 1)),
        (
            OFFER_QUERY,
            encode_answer(
                Answer(Decision.APPROVED, versions={"numpy": "Doe"}, class_counts=np.array([1, 2]))
            ),
        ),
        (
            OFFER_QUERY,
            encode_answer(replace(ANSWER, versions={"Doe": "1"})),
        ),
        ("query.other", encode_ready(1)),
    ],
)
def test_content_of_another_kind_does_not_leave(kind: str, content: RecordDict) -> None:
    assert out(kind, content).error.code == Refusal.HELD_BACK


def test_sums_with_offsets_leave_where_they_were_asked_for() -> None:
    become_server_task()
    config = {"temperature": 2.0, "offset_0": 0.1, "offset_1": -0.1}
    message = Message(encode_instruction(WEIGHTS, 1, config), 1000, CALIBRATE_QUERY)
    sums = CalibrationSums.of(np.eye(2).repeat(4, axis=0), np.arange(8) // 4, 2.0, offsets=POINT.offsets)
    content = encode_calibration_sums(sums, 1.5)
    assert filter_reply(Message(content, reply_to=message), message, 2).content == content
    assert out(CALIBRATE_QUERY, content).error.code == Refusal.HELD_BACK


def test_an_unreadable_offer_is_answered_without_counts() -> None:
    refusal = encode_answer(Answer(Decision.REFUSED, Reason.UNREADABLE))
    assert out(OFFER_QUERY, refusal, None).content == refusal
    assert out(OFFER_QUERY, encode_answer(ANSWER), None).error.code == Refusal.HELD_BACK


def test_only_errors_leave_for_a_run_that_was_never_offered() -> None:
    assert out("train", CONTENTS["train"](), None).error.code == Refusal.HELD_BACK


@pytest.mark.parametrize(
    ("reason", "left"),
    [
        ("ValueError", "ValueError"),
        ("no image obermoser.png", None),
        ("Jane Doe", None),
        ("a" * 65, None),
        (None, None),
    ],
)
def test_an_error_leaves_as_its_code_and_type(reason: str | None, left: str | None) -> None:
    message = asked("train")
    reply = filter_reply(Message(Error(1001, reason), reply_to=message), message, None)
    assert (reply.error.code, reply.error.reason) == (1001, left)
