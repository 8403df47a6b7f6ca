"""The messages after a run by which clinics fit a lesion finder together; listed in ``messages``."""

from __future__ import annotations

import json
import math

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, MetricRecord, RecordDict

from dermafed.shared.errors import FederationError
from dermafed.shared.lesion_finder.finder import LesionFinder
from dermafed.shared.lesion_finder.finder_sums import FinderSums
from dermafed.shared.protocol.flower_records import (
    only_fields,
    only_records,
    read_array,
    record_of,
    to_arrays,
    whole_number,
    work_seconds,
)
from dermafed.shared.training.exact_head.head_sums import from_triangle, to_triangle

LARGEST = 2_500
"""More features of a cell than any EfficientNet has: V2-L has 1,926. Their sums are 25 MB."""


def encode_finder_sums(sums: FinderSums, seconds: float) -> RecordDict:
    """Content of a clinic's reply: 3.7 MB for the 966 features of EfficientNetV2-B0."""
    arrays = to_arrays(gram=to_triangle(sums.gram), targets=sums.targets)
    report = MetricRecord({"images": int(sums.images), "seconds": float(seconds)})
    return RecordDict({"sums": arrays, "report": report})


def decode_finder_sums(content: RecordDict) -> tuple[FinderSums, float]:
    """Decode :func:`encode_finder_sums` at the server: the sums and the clinic's seconds of work.

    Args:
        content: content of a clinic's reply; nothing in it is trusted.

    Raises:
        FederationError: a field is missing, or impossible for any images and masks.
    """
    only_records(content, "sums", "report")
    only_fields(record_of(content, "sums", ArrayRecord), "gram", "targets")
    report = record_of(content, "report", MetricRecord)
    only_fields(report, "images", "seconds")
    triangle = read_array(content, "sums", "gram", np.float64)
    size = (math.isqrt(8 * triangle.size + 1) - 1) // 2
    if size * (size + 1) // 2 != triangle.size or size > LARGEST + 1:
        raise FederationError("its sums are of no cells")
    targets = read_array(content, "sums", "targets", np.float64, (size,))
    sums = FinderSums(from_triangle(triangle, size), targets, whole_number(report, "images"))
    sums.validate()
    return sums, work_seconds(report)


def encode_finder(finder: LesionFinder) -> RecordDict:
    """Content of the message that sends the finder to every clinic."""
    return RecordDict({"finder": ConfigRecord({"document": json.dumps(finder.to_document())})})


def decode_finder(content: RecordDict) -> LesionFinder:
    """Decode :func:`encode_finder` at the clinic.

    Raises:
        FederationError: it is not a finder.
    """
    text = record_of(content, "finder", ConfigRecord).get("document")
    try:
        document = json.loads(str(text))
    except (ValueError, RecursionError) as error:
        raise FederationError("the field 'document' is not JSON") from error
    if not isinstance(document, dict):
        raise FederationError("the field 'document' is not an object")
    return LesionFinder.from_document(document)
