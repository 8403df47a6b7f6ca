"""The messages between the server and the clinics during a run: the only definition of their content.

===============  ===============================  ====================================================
message          record                           content
===============  ===============================  ====================================================
train, evaluate  ``weights`` (arrays)             ``weights``: float32 (P,), the global model
                 ``instruction`` (config)         ``round``, and the strategy's settings of the trainer
                 ``selection``, ``coding``        :mod:`dermafed.shared.protocol.selection_records`
train's reply    ``weights`` (arrays)             ``weights``: float32 (P,), the trained model
                 ``report`` (metrics)             ``weight`` in the mean, ``seconds`` of work
                 ``metrics`` (metrics)            what the training measured, for example ``loss``
evaluate's reply ``counts`` (arrays)              ``confusion``: int64 (C, C), ``histograms``: (C, 2, B)
                 ``report`` (metrics)             ``images``, ``loss_sum``, ``seconds``
train.head       as train's                       for the exact head, whose last layer the sums replace
train.slopes     as train's, and                  to train its last layer by slopes, at this head
                 ``head`` (arrays)                ``kernel``: float64 (K C,), ``bias``: (C,)
slopes' reply    ``sums`` (arrays)                ``slopes``: float64 (K + 1, C)
                 ``report`` (metrics)             ``loss``, ``weight``, ``seconds``
head's reply     ``sums`` (arrays)                ``gram``: float64 ((K + 1)(K + 2) / 2,), the triangle of A;
                                                  ``targets``: float64 (K + 1, C); ``counts``: int64 (C,)
                 ``report`` (metrics)             ``seconds``
query.explain    as train's                       no settings: the clinic chooses its images
explain's reply  ``figures`` (metrics)            ``images``; count, sum, sum of squares by measure
                 ``report`` (metrics)             ``seconds``
query.calibrate  as train's                       ``temperature``, and ``offset_0`` ..., to count at
calibrate's      ``sums`` (arrays)                ``losses``: float64 (G,); before and after scaling:
reply                                             ``images``, ``correct``: int64 (2, C, B), by class and
                                                  confidence; ``confidence``: float64 (2, B), its sums
                 ``report`` (metrics)             ``temperature``, ``seconds``, with offsets ``loss``
query.offsets    ``instruction`` (config)         ``round``, ``model``: SHA-256 of the weights, and the
                                                  ``scale`` and ``offset_0`` ... to sum up at
offsets' reply   ``sums`` (arrays)                ``counts``: int64 (C,); slopes and curvatures of the
                                                  log loss by scale and offsets: float64 (1 + C,) and
                                                  ((1 + C)(2 + C) / 2,)
                 ``report`` (metrics)             ``loss``, ``seconds``
query.scores     ``instruction`` (config)         ``round``, ``model``; ``offsets``: all clinics' as JSON
scores' reply    ``counts`` (arrays)              ``scores``: int64 (2, B), lesions by their probability of
                                                  melanoma without the prior: others, and melanomas
                 ``report`` (metrics)             ``seconds``
query.trust      ``trust`` (config)               ``document``: all clinics' sums as JSON; the reply is
                                                  that of query.prepare
query.audit      as train's                       for the audit: no settings: the clinic chooses its lesions
audit's reply    ``counts`` (arrays)              ``answers``: int64 (2,); ``flips``: (A, 2), by artefact;
                                                  ``scores``: (1 + A, 2, B), lesions by score without and
                                                  with each; ``changes``: (A, D), by the score's change
                 ``sums`` (arrays)                ``moments``: float64 (A, 2), of changes and their squares
                 ``report`` (metrics)             ``seconds``
query.lesions    as train's                       for the lesion finder: no settings
lesions' reply   ``sums`` (arrays)                ``gram``: float64 ((K + 1)(K + 2) / 2,), the triangle of A;
                                                  ``targets``: float64 (K + 1,)
                 ``report`` (metrics)             ``images``, ``seconds``
query.finder     ``finder`` (config)              ``document``: the finder as JSON; the reply is that of
                                                  query.prepare
===============  ===============================  ====================================================

The weights are one array because each array of a message costs Flower two requests. A reply without
result is a Flower ``Error`` with a :class:`Refusal` code and the exception's type name, not its text, which
may contain names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, unique

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, MessageType, MetricRecord, MetricRecordValues, RecordDict

from dermafed.shared.compression.selection import Selection
from dermafed.shared.errors import FederationError
from dermafed.shared.metrics.evaluation import BINS, ClinicEvaluation
from dermafed.shared.model.weights_digest import weights_digest
from dermafed.shared.protocol.flower_records import (
    number,
    only_fields,
    only_records,
    read_array,
    record_of,
    to_arrays,
    whole_number,
    work_seconds,
)
from dermafed.shared.protocol.selection_records import encode_selection, selection_in
from dermafed.shared.training.trainer import FloatVector, Update

EXPLAIN, AUDIT = "explain", "audit"
EXPLAIN_QUERY, AUDIT_QUERY = (f"{MessageType.QUERY}.{name}" for name in (EXPLAIN, AUDIT))
"""The messages that ask for explanation quality, and for an audit of the model for shortcuts; without
``query.``, the names at the clinic."""

CALIBRATE, OFFSETS, SCORES, CALIBRATION = "calibrate", "offsets", "scores", "trust"
CALIBRATE_QUERY, OFFSETS_QUERY, SCORES_QUERY, CALIBRATION_QUERY = (
    f"{MessageType.QUERY}.{name}" for name in (CALIBRATE, OFFSETS, SCORES, CALIBRATION)
)
"""The messages that ask for calibration sums, slopes of the loss and scores, and that send the result."""

LESIONS, FINDER = "lesions", "finder"
LESIONS_QUERY, FINDER_QUERY = (f"{MessageType.QUERY}.{name}" for name in (LESIONS, FINDER))
"""The messages that ask for the sums of a lesion finder, and that send the finder."""

HEAD, SLOPES = "head", "slopes"
HEAD_TRAIN, SLOPES_TRAIN = (f"{MessageType.TRAIN}.{name}" for name in (HEAD, SLOPES))
"""The messages that ask for the sums of the exact head, and for the loss and its slopes by the last layer."""

METRICS = ("loss",)
"""What a training may report; each from 0 to :data:`LARGEST_LOSS`."""

LARGEST_LOSS = 1e6
"""Larger than any cross-entropy of a model that can still be trained, and so small that no sum overflows."""

_SETTING = re.compile(r"[a-z_][a-z0-9_]{0,39}")


@unique
class Refusal(IntEnum):
    """Why a clinic sent no result; outside Flower's own codes."""

    TRAINING_FAILED = 1001
    EVALUATION_FAILED = 1002
    EXPLANATION_FAILED = 1003
    NOT_APPROVED = 1004
    OFFER_FAILED = 1005
    PREPARATION_FAILED = 1006
    INTERRUPTED = 1007
    HELD_BACK = 1008
    CALIBRATION_FAILED = 1009
    FINDER_FAILED = 1010
    AUDIT_FAILED = 1011
    SECURE_SUM_FAILED = 1012
    COUNTS_FAILED = 1013
    MODEL_UNKNOWN = 1014


@dataclass(frozen=True)
class Instruction:
    """What a clinic is asked to train or to evaluate.

    Attributes:
        weights: the global model, float32 (P,).
        round: the round's number, from 1.
        config: the strategy's settings of the trainer, for example ``proximal_mu``.
        selection: which weights the training moves, and how their changes travel; ``None``: all, in full.
    """

    weights: FloatVector
    round: int
    config: dict[str, float]
    selection: Selection | None = field(default=None, kw_only=True)

    @property
    def model(self) -> str:
        """SHA-256 of the weights."""
        return weights_digest(self.weights)


def encode_instruction(
    weights: FloatVector, round: int, config: Mapping[str, float], selection: Selection | None = None
) -> RecordDict:
    """Content of a train or evaluate message; one object serves every clinic of a round."""
    instruction = ConfigRecord({"round": round, **{name: float(value) for name, value in config.items()}})
    content = RecordDict({"weights": to_arrays(weights=weights), "instruction": instruction})
    return RecordDict({**content, **encode_selection(selection)})


def decode_instruction(content: RecordDict) -> Instruction:
    """Decode :func:`encode_instruction` at the clinic.

    Raises:
        FederationError: a record or field is missing or of another type.
    """
    fields = dict(record_of(content, "instruction", ConfigRecord))
    round = fields.pop("round", None)
    if type(round) is not int:
        raise FederationError("The instruction has no round number")
    if not all(_SETTING.fullmatch(name) for name in fields):
        raise FederationError("The instruction has a setting that no strategy has")
    config = {name: number(fields, name) for name in fields}
    weights = read_array(content, "weights", "weights", np.float32)
    return Instruction(weights, round, config, selection=selection_in(content, weights.size))


def encode_update(update: Update, seconds: float) -> RecordDict:
    """Content of a clinic's reply to a train message; ``seconds`` is the time its training took."""
    return RecordDict(
        {
            "weights": to_arrays(weights=update.weights),
            "report": MetricRecord({"weight": int(update.weight), "seconds": float(seconds)}),
            "metrics": MetricRecord({name: float(value) for name, value in update.metrics.items()}),
        }
    )


def decode_update(content: RecordDict, parameters: int) -> tuple[Update, float]:
    """Decode :func:`encode_update` at the server: the update and the clinic's seconds of work.

    Args:
        content: content of a clinic's reply; nothing in it is trusted.
        parameters: length P of the global model's vector.

    Raises:
        FederationError: a field is missing, unknown or not plausible, or has another type, dtype or shape.
            The weights' values and the claimed weight are not checked here.
    """
    only_records(content, "weights", "report", "metrics")
    only_fields(record_of(content, "weights", ArrayRecord), "weights")
    report = record_of(content, "report", MetricRecord)
    only_fields(report, "weight", "seconds")
    measured = record_of(content, "metrics", MetricRecord)
    only_fields(measured, *METRICS)
    metrics = {name: number(measured, name) for name in measured}
    for name, value in metrics.items():
        if not 0 <= value <= LARGEST_LOSS:
            raise FederationError(f"its metric '{name}' is {value:g}, not 0 to {LARGEST_LOSS:,.0f}")
    weight, seconds = whole_number(report, "weight"), work_seconds(report)
    weights = read_array(content, "weights", "weights", np.float32, (parameters,))
    return Update(weights, weight, metrics), seconds


def encode_evaluation(evaluation: ClinicEvaluation, seconds: float) -> RecordDict:
    """Content of a clinic's reply to an evaluate message: counts, never scores of single images."""
    counts = to_arrays(confusion=evaluation.confusion, histograms=evaluation.histograms)
    sums: dict[str, MetricRecordValues] = {
        "images": int(evaluation.images),
        "loss_sum": float(evaluation.loss_sum),
    }
    return RecordDict({"counts": counts, "report": MetricRecord({**sums, "seconds": float(seconds)})})


def decode_evaluation(content: RecordDict, classes: int) -> tuple[ClinicEvaluation, float]:
    """Decode :func:`encode_evaluation` at the server: the counts and the clinic's seconds of work.

    Raises:
        FederationError: a field is missing or unknown, or has another type, dtype or shape. Values are not
            checked here.
    """
    only_records(content, "counts", "report")
    only_fields(record_of(content, "counts", ArrayRecord), "confusion", "histograms")
    report = record_of(content, "report", MetricRecord)
    only_fields(report, "images", "loss_sum", "seconds")
    evaluation = ClinicEvaluation(
        images=whole_number(report, "images"),
        loss_sum=number(report, "loss_sum"),
        confusion=read_array(content, "counts", "confusion", np.int64, (classes, classes)),
        histograms=read_array(content, "counts", "histograms", np.int64, (classes, 2, BINS)),
    )
    return evaluation, work_seconds(report)
