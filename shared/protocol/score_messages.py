"""The messages by which clinics count their lesions' scores together; listed in ``messages``.

The model is named, not sent again, as in :mod:`.offset_messages`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, MetricRecord, RecordDict

from dermafed.shared.errors import FederationError
from dermafed.shared.metrics.calibration.offset_fit import FittedOffsets
from dermafed.shared.metrics.calibration.offsets_document import federation_from_dict, federation_to_dict
from dermafed.shared.metrics.decision.score_histogram import ScoreHistogram
from dermafed.shared.metrics.evaluation import BINS
from dermafed.shared.protocol.flower_records import (
    only_fields,
    only_records,
    plain_text,
    read_array,
    record_of,
    sha256_text,
    to_arrays,
    whole_number,
    work_seconds,
)

_LONGEST = 10_000  # characters of the offsets


@dataclass(frozen=True, slots=True)
class ScoresRequest:
    """What a clinic is asked to count the scores with.

    Attributes:
        model: SHA-256 of the weights of the model.
        round: its round.
        federation: the scale and offsets of all clinics, around which it fits its own.
    """

    model: str
    round: int
    federation: FittedOffsets


def encode_scores_request(asked: ScoresRequest) -> RecordDict:
    """Content of a scores query; one object serves every clinic."""
    offsets = json.dumps(federation_to_dict(asked.federation))
    instruction = ConfigRecord({"round": asked.round, "model": asked.model, "offsets": offsets})
    return RecordDict({"instruction": instruction})


def decode_scores_request(content: RecordDict) -> ScoresRequest:
    """Decode :func:`encode_scores_request` at the clinic.

    Raises:
        FederationError: a field is missing, unknown, or out of range.
    """
    only_records(content, "instruction")
    fields = record_of(content, "instruction", ConfigRecord)
    only_fields(fields, "round", "model", "offsets")
    model, text = sha256_text(fields, "model"), plain_text(fields, "offsets", _LONGEST)
    try:
        values = json.loads(text)
        fitted = federation_from_dict(values, len(values["counts"]))
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise FederationError("the field 'offsets' is no scale and offsets") from error
    return ScoresRequest(model, whole_number(fields, "round"), fitted)


def encode_scores(scores: ScoreHistogram, seconds: float) -> RecordDict:
    """Content of a clinic's reply to a scores query: counts of lesions, no score of a single one."""
    report = MetricRecord({"seconds": float(seconds)})
    return RecordDict({"counts": to_arrays(scores=scores.counts), "report": report})


def decode_scores(content: RecordDict) -> tuple[ScoreHistogram, float]:
    """Decode :func:`encode_scores` at the server: the counts and the clinic's seconds of work.

    Raises:
        FederationError: a field is missing, or impossible for any lesions.
    """
    only_records(content, "counts", "report")
    only_fields(record_of(content, "counts", ArrayRecord), "scores")
    report = record_of(content, "report", MetricRecord)
    only_fields(report, "seconds")
    scores = ScoreHistogram(read_array(content, "counts", "scores", np.int64, (2, BINS)))
    scores.validate()
    return scores, work_seconds(report)
