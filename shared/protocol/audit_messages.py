"""The reply with a clinic's audit of a model for shortcuts; listed in ``messages``."""

from __future__ import annotations

import numpy as np
from flwr.app import ArrayRecord, MetricRecord, RecordDict

from dermafed.shared.artefacts.names import CHANGE_TITLES
from dermafed.shared.metrics.shortcuts.shortcut_sums import CHANGE_BINS, SCORE_BINS, ShortcutSums
from dermafed.shared.protocol.flower_records import (
    only_fields,
    only_records,
    read_array,
    record_of,
    to_arrays,
    work_seconds,
)

_SHAPES = {
    "answers": (2,),
    "flips": (len(CHANGE_TITLES), 2),
    "scores": (1 + len(CHANGE_TITLES), 2, SCORE_BINS),
    "changes": (len(CHANGE_TITLES), CHANGE_BINS),
}


def encode_shortcut_sums(sums: ShortcutSums, seconds: float) -> RecordDict:
    """Content of a clinic's reply to an audit query: counts and sums of lesions, 135 kB."""
    counts = {name: getattr(sums, name) for name in _SHAPES}
    return RecordDict(
        {
            "counts": to_arrays(**counts),
            "sums": to_arrays(moments=sums.moments),
            "report": MetricRecord({"seconds": float(seconds)}),
        }
    )


def decode_shortcut_sums(content: RecordDict) -> tuple[ShortcutSums, float]:
    """Decode :func:`encode_shortcut_sums` at the server: the sums and the clinic's seconds of work.

    Args:
        content: content of a clinic's reply; nothing in it is trusted.

    Raises:
        FederationError: a field is missing, or impossible for any lesions.
    """
    only_records(content, "counts", "sums", "report")
    only_fields(record_of(content, "counts", ArrayRecord), *_SHAPES)
    only_fields(record_of(content, "sums", ArrayRecord), "moments")
    report = record_of(content, "report", MetricRecord)
    only_fields(report, "seconds")
    counts = {name: read_array(content, "counts", name, np.int64, shape) for name, shape in _SHAPES.items()}
    moments = read_array(content, "sums", "moments", np.float64, (len(CHANGE_TITLES), 2))
    sums = ShortcutSums(**counts, moments=moments)
    sums.validate(len(CHANGE_TITLES))
    return sums, work_seconds(report)
