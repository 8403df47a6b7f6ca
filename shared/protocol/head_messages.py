"""The reply with a clinic's sums for the exact head; listed in ``messages``."""

from __future__ import annotations

import math

import numpy as np
from flwr.app import ArrayRecord, MetricRecord, RecordDict

from dermafed.shared.errors import FederationError
from dermafed.shared.protocol.flower_records import (
    only_fields,
    only_records,
    read_array,
    record_of,
    to_arrays,
    work_seconds,
)
from dermafed.shared.training.exact_head.head_sums import HeadSums, from_triangle, to_triangle


def encode_head_sums(sums: HeadSums, seconds: float) -> RecordDict:
    """Content of a clinic's reply: 6.6 MB for 1,280 features."""
    arrays = to_arrays(gram=to_triangle(sums.gram), targets=sums.targets, counts=sums.counts)
    return RecordDict({"sums": arrays, "report": MetricRecord({"seconds": float(seconds)})})


def decode_head_sums(content: RecordDict, classes: int, parameters: int) -> tuple[HeadSums, float]:
    """Decode :func:`encode_head_sums` at the server: the sums and the clinic's seconds of work.

    Args:
        content: content of a clinic's reply; nothing in it is trusted.
        classes: C of the model.
        parameters: P of the model, whose last layer has (K + 1) C of them.

    Raises:
        FederationError: a field is missing, or impossible for any images.
    """
    only_records(content, "sums", "report")
    only_fields(record_of(content, "sums", ArrayRecord), "gram", "targets", "counts")
    report = record_of(content, "report", MetricRecord)
    only_fields(report, "seconds")
    triangle = read_array(content, "sums", "gram", np.float64)
    size = (math.isqrt(8 * triangle.size + 1) - 1) // 2
    if size * (size + 1) // 2 != triangle.size or size * classes > parameters:
        raise FederationError("its sums are of other features than the model's")
    targets = read_array(content, "sums", "targets", np.float64, (size, classes))
    counts = read_array(content, "sums", "counts", np.int64, (classes,))
    sums = HeadSums(from_triangle(triangle, size), targets, counts)
    sums.validate(classes)
    return sums, work_seconds(report)
