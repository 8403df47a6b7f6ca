"""The messages after a run by which clinics calibrate its model together; listed in ``messages``."""

from __future__ import annotations

import json

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, MetricRecord, RecordDict

from dermafed.shared.errors import FederationError
from dermafed.shared.metrics.calibration.calibration import Calibration
from dermafed.shared.metrics.calibration.calibration_file import from_document, to_document
from dermafed.shared.metrics.calibration.calibration_sums import CalibrationSums
from dermafed.shared.metrics.calibration.reliability import BINS as CONFIDENCE_BINS
from dermafed.shared.metrics.calibration.reliability import ConfidenceBins
from dermafed.shared.metrics.calibration.temperature import TEMPERATURES
from dermafed.shared.protocol.flower_records import (
    number,
    only_fields,
    only_records,
    read_array,
    record_of,
    to_arrays,
    work_seconds,
)


def encode_calibration_sums(sums: CalibrationSums, seconds: float) -> RecordDict:
    """Content of a clinic's reply to a calibrate query: sums and counts, never scores of single images."""
    both = (sums.before, sums.after)
    names = ("images", "correct", "confidence")
    counts = {name: np.stack([getattr(bins, name) for bins in both]) for name in names}
    report = MetricRecord({"temperature": float(sums.temperature), "seconds": float(seconds)})
    if sums.offsets_loss is not None:
        report["loss"] = float(sums.offsets_loss)
    return RecordDict({"sums": to_arrays(losses=sums.losses, **counts), "report": report})


def decode_calibration_sums(
    content: RecordDict, classes: int, offsets: tuple[float, ...] = ()
) -> tuple[CalibrationSums, float]:
    """Decode :func:`encode_calibration_sums` at the server: the sums and the clinic's seconds of work.

    Args:
        content: content of a clinic's reply; nothing in it is trusted.
        classes: C of the model.
        offsets: those that the clinic was asked to count with, (C,); empty: none.

    Raises:
        FederationError: a field is missing, or impossible for any images.
    """
    only_records(content, "sums", "report")
    only_fields(record_of(content, "sums", ArrayRecord), "losses", "images", "correct", "confidence")
    report = record_of(content, "report", MetricRecord)
    only_fields(report, "temperature", "seconds", *(["loss"] if offsets else []))
    by_class = (2, classes, CONFIDENCE_BINS)
    images, correct = (
        read_array(content, "sums", name, np.int64, by_class) for name in ("images", "correct")
    )
    confidence = read_array(content, "sums", "confidence", np.float64, (2, CONFIDENCE_BINS))
    before, after = (ConfidenceBins(images[side], correct[side], confidence[side]) for side in (0, 1))
    losses = read_array(content, "sums", "losses", np.float64, TEMPERATURES.shape)
    loss = number(report, "loss") if offsets else None
    sums = CalibrationSums(number(report, "temperature"), losses, before, after, offsets, loss)
    sums.validate(classes)
    return sums, work_seconds(report)


def encode_calibration(calibration: Calibration) -> RecordDict:
    """Content of the message that sends the calibration back."""
    return RecordDict({"trust": ConfigRecord({"document": json.dumps(to_document(calibration))})})


def decode_calibration(content: RecordDict) -> Calibration:
    """Decode :func:`encode_calibration` at the clinic.

    Raises:
        FederationError: it is not a calibration.
    """
    text = record_of(content, "trust", ConfigRecord).get("document")
    try:
        return from_document(json.loads(str(text)))
    except ValueError as error:
        raise FederationError("the field 'document' is not JSON") from error
