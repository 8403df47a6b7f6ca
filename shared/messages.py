"""What travels between the server and the clinics: the one definition of every message's content.

===============  ===============================  ====================================================
message          record                           content
===============  ===============================  ====================================================
train, evaluate  ``weights`` (arrays)             ``weights``: float32 (P,), the global model
                 ``instruction`` (config)         ``round``, and what the strategy tells the trainer
train's reply    ``weights`` (arrays)             ``weights``: float32 (P,), the trained model
                 ``report`` (metrics)             ``weight`` in the mean, ``seconds`` of work
                 ``metrics`` (metrics)            what the training measured, for example ``loss``
evaluate's reply ``counts`` (arrays)              ``confusion``: int64 (C, C), ``histograms``: (C, 2, B)
                 ``report`` (metrics)             ``images``, ``loss_sum``, ``seconds``
query.explain    as train's                       no settings: the clinic chooses its images
explain's reply  ``figures`` (metrics)            ``images``; count, sum, sum of squares by measure
                 ``report`` (metrics)             ``seconds``
===============  ===============================  ====================================================

The weights are one array because each array of a message costs Flower two requests. A reply without result
is a Flower ``Error`` with a :class:`Refusal` code and the exception's type name: its text may hold names.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, TypeVar

import numpy as np
from flwr.app import (
    Array,
    ArrayRecord,
    ConfigRecord,
    MessageType,
    MetricRecord,
    MetricRecordValues,
    RecordDict,
)
from numpy.typing import NDArray

from shared.errors import FederationError
from shared.explain.quality.figures import ExplanationQuality
from shared.metrics.evaluation import BINS, SiteEvaluation
from shared.training.trainer import FloatVector, Update

EXPLAIN = "explain"
"""The query's name at the clinic."""

EXPLAIN_QUERY = f"{MessageType.QUERY}.{EXPLAIN}"
"""The type of the messages that ask for explanation quality."""

_NPY_HEADER_BYTES = 4096
_Record = TypeVar("_Record")


class Refusal(IntEnum):
    """Why a clinic sent no result; outside Flower's own codes."""

    TRAINING_FAILED = 1001
    EVALUATION_FAILED = 1002
    EXPLANATION_FAILED = 1003


@dataclass(frozen=True)
class Instruction:
    """What a clinic is asked to train or to judge.

    Attributes:
        weights: the global model, float32 (P,).
        round: the round's number, from 1.
        config: what the strategy tells the trainer, for example ``proximal_mu``.
    """

    weights: FloatVector
    round: int
    config: dict[str, float]


def encode_instruction(weights: FloatVector, round: int, config: Mapping[str, float]) -> RecordDict:
    """Content of a train or evaluate message; one object serves every clinic of a round."""
    instruction = ConfigRecord({"round": round, **{name: float(value) for name, value in config.items()}})
    return RecordDict({"weights": _arrays(weights=weights), "instruction": instruction})


def decode_instruction(content: RecordDict) -> Instruction:
    """The clinic's reading of :func:`encode_instruction`.

    Raises:
        FederationError: a record or field is missing or of another type.
    """
    fields = dict(_record(content, "instruction", ConfigRecord))
    number = fields.pop("round", None)
    if type(number) is not int:
        raise FederationError("The instruction has no round number")
    config = {name: _number(fields, name) for name in fields}
    return Instruction(_read(content, "weights", "weights", np.float32), number, config)


def encode_update(update: Update, seconds: float) -> RecordDict:
    """Content of a clinic's reply to a train message; ``seconds`` is the time its training took."""
    return RecordDict(
        {
            "weights": _arrays(weights=update.weights),
            "report": MetricRecord({"weight": int(update.weight), "seconds": float(seconds)}),
            "metrics": MetricRecord({name: float(value) for name, value in update.metrics.items()}),
        }
    )


def decode_update(content: RecordDict, parameters: int) -> tuple[Update, float]:
    """The server's reading of :func:`encode_update`: the update and the clinic's seconds of work.

    Args:
        content: what a clinic sent; nothing about it is trusted.
        parameters: length P of the global model's vector.

    Raises:
        FederationError: a field is missing, or has another type, dtype or shape. Values are not judged here.
    """
    weights = _read(content, "weights", "weights", np.float32, (parameters,))
    report = _record(content, "report", MetricRecord)
    measured = _record(content, "metrics", MetricRecord)
    metrics = {name: _number(measured, name) for name in measured}
    return Update(weights, _whole_number(report, "weight"), metrics), _number(report, "seconds")


def encode_evaluation(evaluation: SiteEvaluation, seconds: float) -> RecordDict:
    """Content of a clinic's reply to an evaluate message: counts, never scores of single images."""
    counts = _arrays(confusion=evaluation.confusion, histograms=evaluation.histograms)
    sums: dict[str, MetricRecordValues] = {
        "images": int(evaluation.images),
        "loss_sum": float(evaluation.loss_sum),
    }
    return RecordDict({"counts": counts, "report": MetricRecord({**sums, "seconds": float(seconds)})})


def decode_evaluation(content: RecordDict, classes: int) -> tuple[SiteEvaluation, float]:
    """The server's reading of :func:`encode_evaluation`: the counts and the clinic's seconds of work.

    Raises:
        FederationError: a field is missing, or has another type, dtype or shape. Values are not judged here.
    """
    report = _record(content, "report", MetricRecord)
    evaluation = SiteEvaluation(
        images=_whole_number(report, "images"),
        loss_sum=_number(report, "loss_sum"),
        confusion=_read(content, "counts", "confusion", np.int64, (classes, classes)),
        histograms=_read(content, "counts", "histograms", np.int64, (classes, 2, BINS)),
    )
    return evaluation, _number(report, "seconds")


def encode_explanation_quality(quality: ExplanationQuality, seconds: float) -> RecordDict:
    """Content of a clinic's reply to an explain query: named counts and sums, no map and no image's score."""
    figures: dict[str, MetricRecordValues] = {**quality.to_flat()}
    return RecordDict({"figures": MetricRecord(figures), "report": MetricRecord({"seconds": float(seconds)})})


def decode_explanation_quality(content: RecordDict) -> tuple[ExplanationQuality, float]:
    """The server's reading of :func:`encode_explanation_quality`, and the clinic's seconds of work.

    Raises:
        FederationError: a field is missing, unknown, no number, or none that any images could give.
    """
    figures = _record(content, "figures", MetricRecord)
    quality = ExplanationQuality.from_flat({name: _number(figures, name) for name in figures})
    return quality, _number(_record(content, "report", MetricRecord), "seconds")


def _arrays(**arrays: NDArray[Any]) -> ArrayRecord:
    return ArrayRecord({name: Array(np.ascontiguousarray(array)) for name, array in arrays.items()})


def _record(content: RecordDict, name: str, kind: type[_Record]) -> _Record:
    record = content.get(name)
    if not isinstance(record, kind):
        raise FederationError(f"the record '{name}' is missing")
    return record


def _number(record: Mapping[str, Any], name: str) -> float:
    if type(record.get(name)) not in (int, float):
        raise FederationError(f"the field '{name}' is not a number")
    return float(record[name])


def _whole_number(record: Mapping[str, Any], name: str) -> int:
    value = record.get(name)
    if type(value) is not int:
        raise FederationError(f"the field '{name}' is not a whole number")
    return value


def _read(
    content: RecordDict, record: str, name: str, dtype: type[np.generic], shape: tuple[int, ...] | None = None
) -> NDArray[Any]:
    """The named array, of ``dtype`` and ``shape`` (without one: any vector)."""
    array = _record(content, record, ArrayRecord).get(name)
    if array is None:
        raise FederationError(f"the array '{name}' is missing")
    wanted = np.dtype(dtype)
    shape = shape or tuple(array.shape[:1])
    _expect(name, array.dtype, tuple(array.shape), wanted, shape)
    if len(array.data) > math.prod(shape) * wanted.itemsize + _NPY_HEADER_BYTES:
        raise FederationError(f"the array '{name}' is larger than its shape says")
    try:
        values = array.numpy()
    except (ValueError, TypeError, EOFError, OSError, MemoryError, OverflowError, SyntaxError) as error:
        raise FederationError(f"the array '{name}' cannot be read") from error
    # Once more, because the description beside the bytes and the one inside them may differ.
    _expect(name, values.dtype, values.shape, wanted, shape)
    return values


def _expect(
    name: str,
    dtype: str | np.dtype[Any],
    shape: tuple[int, ...],
    wanted: np.dtype[Any],
    wanted_shape: tuple[int, ...],
) -> None:
    if shape != wanted_shape or str(dtype) != str(wanted):
        raise FederationError(f"the array '{name}' is {dtype} {shape}, not {wanted} {wanted_shape}")
