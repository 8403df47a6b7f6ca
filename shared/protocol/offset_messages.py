"""The messages by which clinics fit a scale and offsets together; listed in ``messages``.

The model is named, not sent again: each clinic saved it when it was calibrated.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, MetricRecord, RecordDict
from numpy.typing import NDArray

from dermafed.shared.metrics.calibration.class_offsets import ClassOffsets
from dermafed.shared.metrics.calibration.offset_sums import OffsetSums
from dermafed.shared.protocol.flower_records import (
    number,
    only_fields,
    only_records,
    read_array,
    record_of,
    sha256_text,
    to_arrays,
    whole_number,
    work_seconds,
)


@dataclass(frozen=True, slots=True)
class OffsetsRequest:
    """What a clinic is asked to sum up.

    Attributes:
        model: SHA-256 of the weights of the model.
        round: its round.
        point: the scale and offsets to sum up at.
    """

    model: str
    round: int
    point: ClassOffsets


def offsets_to_config(offsets: tuple[float, ...]) -> dict[str, float]:
    """Offsets (C,) as the settings ``offset_0`` ... of a request."""
    return {f"offset_{number}": offset for number, offset in enumerate(offsets)}


def offsets_from_config(config: Mapping[str, Any]) -> tuple[float, ...]:
    """The offsets (C,) in the settings of a request; empty if there are none.

    Raises:
        FederationError: one is missing.
    """
    count = sum(name.startswith("offset_") for name in config)
    return tuple(number(config, f"offset_{place}") for place in range(count))


def encode_offsets_request(asked: OffsetsRequest) -> RecordDict:
    """Content of an offsets query; one object serves every clinic."""
    point = {"scale": asked.point.scale, **offsets_to_config(asked.point.offsets)}
    return RecordDict({"instruction": ConfigRecord({"round": asked.round, "model": asked.model, **point})})


def decode_offsets_request(content: RecordDict) -> OffsetsRequest:
    """Decode :func:`encode_offsets_request` at the clinic.

    Raises:
        FederationError: a field is missing, unknown, or out of range.
    """
    only_records(content, "instruction")
    fields = record_of(content, "instruction", ConfigRecord)
    offsets = offsets_from_config(fields)
    only_fields(fields, "round", "model", "scale", *offsets_to_config(offsets))
    model = sha256_text(fields, "model")
    point = ClassOffsets(number(fields, "scale"), offsets)
    point.validate(len(offsets))
    return OffsetsRequest(model, whole_number(fields, "round"), point)


def encode_offset_sums(sums: OffsetSums, seconds: float) -> RecordDict:
    """Content of a clinic's reply to an offsets query: 18 numbers for three classes, no score of an image."""
    triangle = sums.hessian[np.triu_indices(len(sums.hessian))]
    arrays = to_arrays(counts=sums.counts, slopes=sums.gradient, curvatures=triangle)
    report = MetricRecord({"loss": float(sums.loss), "seconds": float(seconds)})
    return RecordDict({"sums": arrays, "report": report})


def decode_offset_sums(content: RecordDict, point: ClassOffsets) -> tuple[OffsetSums, float]:
    """Decode :func:`encode_offset_sums` at the server: the sums and the clinic's seconds of work.

    Args:
        content: content of a clinic's reply; nothing in it is trusted.
        point: the scale and offsets that the clinic was asked to sum up at.

    Raises:
        FederationError: a field is missing, or impossible for any images.
    """
    only_records(content, "sums", "report")
    only_fields(record_of(content, "sums", ArrayRecord), "counts", "slopes", "curvatures")
    report = record_of(content, "report", MetricRecord)
    only_fields(report, "loss", "seconds")
    classes = len(point.offsets)
    size = classes + 1
    triangle = read_array(content, "sums", "curvatures", np.float64, (size * (size + 1) // 2,))
    sums = OffsetSums(
        point,
        read_array(content, "sums", "counts", np.int64, (classes,)),
        number(report, "loss"),
        read_array(content, "sums", "slopes", np.float64, (size,)),
        _symmetric(triangle, size),
    )
    sums.validate(classes)
    return sums, work_seconds(report)


def _symmetric(triangle: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    whole = np.zeros((size, size))
    whole[np.triu_indices(size)] = triangle
    return np.asarray(whole + np.triu(whole, 1).T)
