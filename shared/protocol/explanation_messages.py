"""The reply with the quality of a model's explanations; listed in ``messages``."""

from __future__ import annotations

from flwr.app import MetricRecord, MetricRecordValues, RecordDict

from dermafed.shared.errors import FederationError
from dermafed.shared.explain.quality.quality_sums import MEASURES, ExplanationQuality
from dermafed.shared.protocol.flower_records import number, only_fields, only_records, record_of, work_seconds


def encode_explanation_quality(quality: ExplanationQuality, seconds: float) -> RecordDict:
    """Content of a clinic's reply to an explain query: named counts and sums, no map and no image's score."""
    sums: dict[str, MetricRecordValues] = {**quality.to_flat()}
    return RecordDict({"figures": MetricRecord(sums), "report": MetricRecord({"seconds": float(seconds)})})


def decode_explanation_quality(content: RecordDict) -> tuple[ExplanationQuality, float]:
    """Decode :func:`encode_explanation_quality` at the server: the quality and the clinic's seconds of work.

    Raises:
        FederationError: a field is missing, unknown, not a number, or impossible for any images.
    """
    only_records(content, "figures", "report")
    report = record_of(content, "report", MetricRecord)
    only_fields(report, "seconds")
    sums = record_of(content, "figures", MetricRecord)
    if len(sums) > 1 + 3 * len(MEASURES):
        raise FederationError(f"it has {len(sums)} figures")
    quality = ExplanationQuality.from_flat({name: number(sums, name) for name in sums})
    return quality, work_seconds(report)
