"""The messages by which clinics train the last layer together; listed in ``messages``."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from flwr.app import ArrayRecord, MetricRecord, RecordDict

from dermafed.shared.errors import FederationError
from dermafed.shared.protocol.flower_records import (
    number,
    only_fields,
    only_records,
    read_array,
    record_of,
    to_arrays,
    work_seconds,
)
from dermafed.shared.protocol.messages import Instruction, decode_instruction, encode_instruction
from dermafed.shared.training.exact_head.ridge import LinearHead
from dermafed.shared.training.exact_head.slope_sums import SlopeSums
from dermafed.shared.training.trainer import FloatVector


@dataclass(frozen=True)
class SlopesRequest(Instruction):
    """What a clinic is asked to sum up.

    Attributes:
        head: the last layer, in place of the model's own.
    """

    head: LinearHead


def encode_slopes_request(weights: FloatVector, round: int, head: LinearHead) -> RecordDict:
    """Content of a slopes message; one object serves every clinic."""
    content = encode_instruction(weights, round, {})
    content["head"] = to_arrays(kernel=head.kernel.ravel(), bias=head.bias)
    return content


def decode_slopes_request(content: RecordDict) -> SlopesRequest:
    """Decode :func:`encode_slopes_request` at the clinic.

    Raises:
        FederationError: a field is missing, or of another type or shape, or not finite.
    """
    only_records(content, "weights", "instruction", "head")
    only_fields(record_of(content, "head", ArrayRecord), "kernel", "bias")
    asked = decode_instruction(content)
    bias = read_array(content, "head", "bias", np.float64)
    kernel = read_array(content, "head", "kernel", np.float64)
    if not bias.size or not kernel.size or kernel.size % bias.size:
        raise FederationError("The head's kernel and bias do not fit each other")
    if not (np.isfinite(kernel).all() and np.isfinite(bias).all()):
        raise FederationError("The head is not finite")
    return SlopesRequest(
        asked.weights, asked.round, asked.config, LinearHead(kernel.reshape(-1, bias.size), bias)
    )


def encode_slope_sums(sums: SlopeSums, seconds: float) -> RecordDict:
    """Content of a clinic's reply: 31 kB for 1,280 features and three classes."""
    report = {"loss": float(sums.loss), "weight": float(sums.weight), "seconds": float(seconds)}
    return RecordDict({"sums": to_arrays(slopes=sums.slopes), "report": MetricRecord({**report})})


def decode_slope_sums(content: RecordDict, shape: tuple[int, int]) -> tuple[SlopeSums, float]:
    """Decode :func:`encode_slope_sums` at the server: the sums and the clinic's seconds of work.

    Args:
        content: content of a clinic's reply; nothing in it is trusted.
        shape: (K + 1, C).

    Raises:
        FederationError: a field is missing, unknown, or of another type or shape. Values are checked by
            :meth:`SlopeSums.validate`.
    """
    only_records(content, "sums", "report")
    only_fields(record_of(content, "sums", ArrayRecord), "slopes")
    report = record_of(content, "report", MetricRecord)
    only_fields(report, "loss", "weight", "seconds")
    slopes = read_array(content, "sums", "slopes", np.float64, shape)
    return SlopeSums(number(report, "loss"), slopes, number(report, "weight")), work_seconds(report)
