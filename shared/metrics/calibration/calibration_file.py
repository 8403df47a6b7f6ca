"""Save and load a calibration: ``MODEL.trust.json``, and ``MODEL.trust.npz``, which stays at the clinic."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from dermafed.shared.errors import FederationError, ModelError, SettingsError
from dermafed.shared.metrics.calibration.calibration import Calibration
from dermafed.shared.metrics.calibration.class_offsets import ClassOffsets
from dermafed.shared.metrics.calibration.offsets_document import (
    federation_from_dict,
    federation_to_dict,
    own_from_dict,
    own_to_dict,
    scores_from_dict,
    scores_to_dict,
    sums_from_dict,
    sums_to_dict,
)
from dermafed.shared.metrics.calibration.out_of_distribution import WITHIN_THRESHOLD, OutOfDistribution
from dermafed.shared.metrics.calibration.reliability import ConfidenceBins
from dermafed.shared.metrics.calibration.selective_prediction import COVERAGE
from dermafed.shared.metrics.decision.alert_rule import AlertRule, alert_metrics
from dermafed.shared.metrics.decision.federation_alert import federation_alert
from dermafed.shared.storage.atomic_files import write_private

_REMEDY = "Run: fl-client calibrate"
FORMAT = 1
_UNREADABLE = (FederationError, SettingsError)


def calibration_files(model: Path) -> tuple[Path, Path]:
    """Files of a model's calibration: the metrics, and the arrays that stay at the clinic."""
    return model.with_suffix(".trust.json"), model.with_suffix(".trust.npz")


def save_calibration(model: Path, calibration: Calibration) -> None:
    """Write a model's calibration beside it, each file atomically, readable by its owner only.

    Args:
        model: the model's file.
        calibration: calibration of this model.

    Raises:
        StorageError: a file cannot be written.
    """
    document_file, arrays = calibration_files(model)
    document = to_document(calibration)
    if calibration.own is not None:
        document["own"] = own_to_dict(calibration.own)
    if calibration.out_of_distribution is not None:
        content = io.BytesIO()
        np.savez(
            content,
            mean=calibration.out_of_distribution.mean,
            whitening=calibration.out_of_distribution.whitening,
        )
        # Before the document, which names it: never the document without it.
        write_private(arrays, content.getvalue())
        document["outside"] = {
            "threshold": calibration.out_of_distribution.threshold,
            "images": calibration.out_of_distribution.images,
            "sha256": hashlib.sha256(content.getvalue()).hexdigest(),
        }
    if calibration.alert is not None:
        document["alert"] = calibration.alert.to_dict()
    write_private(document_file, (json.dumps(document, indent=1, allow_nan=False) + "\n").encode())


def load_calibration(model: Path, sha256: str) -> Calibration | None:
    """The calibration beside a model; ``None`` if it was never calibrated.

    Args:
        model: the model's file.
        sha256: hash of its weights.

    Raises:
        ModelError: the files are damaged, do not belong together, or belong to another model.
    """
    document_file, arrays = calibration_files(model)
    if not document_file.exists():
        return None
    try:
        values: dict[str, Any] = json.loads(document_file.read_text("utf-8"))
        calibration = from_document(values)
        classes, own = len(calibration.classes), values.get("own")
        calibration = replace(calibration, own=None if own is None else own_from_dict(own, classes))
        out_of_distribution = None if values.get("outside") is None else _detector(values["outside"], arrays)
        alert = values.get("alert")
        rule = None if alert is None else AlertRule.from_dict(alert, len(calibration.classes))
    except FileNotFoundError as error:
        raise ModelError("A file beside the model is missing", where=arrays, remedy=_REMEDY) from error
    except (OSError, ValueError, LookupError, TypeError, AttributeError, *_UNREADABLE) as error:
        raise ModelError(
            "The model's calibration cannot be read", where=document_file, remedy=_REMEDY
        ) from error
    if calibration.model != sha256:
        raise ModelError("The calibration belongs to another model", where=document_file, remedy=_REMEDY)
    return replace(calibration, out_of_distribution=out_of_distribution, alert=rule)


def _detector(values: dict[str, Any], path: Path) -> OutOfDistribution:
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != values["sha256"]:
        raise ValueError("the arrays are not those that the document names")
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            mean, whitening = arrays["mean"], arrays["whitening"]
    except (EOFError, zipfile.BadZipFile) as error:
        raise ValueError("the arrays cannot be read") from error
    threshold, size = float(values["threshold"]), len(mean)
    if whitening.shape != (size, size) or not np.isfinite([threshold, *mean, whitening.sum()]).all():
        raise ValueError("the arrays do not belong to a model")
    return OutOfDistribution(mean, whitening, threshold, int(values["images"]))


def to_document(calibration: Calibration) -> dict[str, Any]:
    """A calibration as JSON types: its sums and metrics, without what stays at the clinic."""
    federation = calibration.federation
    return {
        "format": FORMAT,
        "model_sha256": calibration.model,
        "classes": list(calibration.classes),
        "clinics": calibration.clinics,
        "figures": calibration_metrics(calibration),
        "sums": sums_to_dict(calibration.sums),
        **({} if federation is None else {"offsets": federation_to_dict(federation)}),
        **({} if calibration.scores is None else {"scores": scores_to_dict(calibration.scores)}),
    }


def from_document(values: Mapping[str, Any]) -> Calibration:
    """Read what :func:`to_document` wrote; the metrics are computed again.

    Raises:
        FederationError: a field is missing, or none that any images could give.
    """
    try:
        if values["format"] != FORMAT:
            raise ValueError("another format")
        classes, federation = tuple(map(str, values["classes"])), values.get("offsets")
        scores = values.get("scores")
        if scores is not None and federation is None:
            raise ValueError("scores without offsets")
        calibration = Calibration(
            str(values["model_sha256"]),
            classes,
            sums_from_dict(values["sums"]),
            int(values["clinics"]),
            federation=None if federation is None else federation_from_dict(federation, len(classes)),
            scores=None if scores is None else scores_from_dict(scores),
        )
    except (KeyError, ValueError, TypeError, OverflowError) as error:
        raise FederationError("a field is missing, or of another kind") from error
    calibration.sums.validate(len(calibration.classes))
    if calibration.clinics < 1:
        raise FederationError("no clinic's images")
    return calibration


def calibration_metrics(calibration: Calibration) -> dict[str, Any]:
    """Metrics of a calibration, as JSON types."""
    sums, selection = calibration.sums, calibration.selection
    alert = {} if calibration.alert is None else {"alert": alert_metrics(calibration.alert)}
    return {
        "images": sums.images,
        "clinics": calibration.clinics,
        "temperature": sums.temperature,
        "before": _calibration(sums.before, sums.loss_before),
        "after": _calibration(sums.after, sums.loss_after),
        "offsets": None if calibration.point is None else _offsets(calibration, calibration.point),
        "unsure": {
            "rule": f"the highest threshold at which {COVERAGE:.0%} of the validation images are sure",
            "threshold": selection.threshold,
            "coverage": selection.coverage,
            "risk": selection.risk,
            "sure": dict(zip(calibration.classes, selection.sure, strict=True)),
            "found": dict(zip(calibration.classes, selection.found, strict=True)),
        },
        "outside": None
        if calibration.out_of_distribution is None
        else {
            "rule": f"beyond {WITHIN_THRESHOLD:.0%} of the clinic's own validation images",
            "threshold": calibration.out_of_distribution.threshold,
            "images": calibration.out_of_distribution.images,
        },
        **alert,
        **({} if calibration.scores is None else {"alert_of_all": federation_alert(calibration.scores)}),
    }


def _calibration(bins: ConfidenceBins, loss: float) -> dict[str, Any]:
    interval = bins.error_interval()
    return {
        "expected_calibration_error": bins.error,
        "interval": asdict(interval),
        "log_loss": loss,
        "accuracy": float(bins.correct.sum() / bins.images.sum()),
        "bins": [asdict(bar) for bar in bins.bars()],
    }


def _offsets(calibration: Calibration, point: ClassOffsets) -> dict[str, Any]:
    own, federation = calibration.own, calibration.federation
    few = (False,) * len(calibration.classes) if own is None else own.few
    return {
        "fitted_by": "the federation" if own is None else "this clinic",
        "scale": point.scale,
        "offsets": dict(zip(calibration.classes, point.offsets, strict=True)),
        "few_images": [name for name, few_here in zip(calibration.classes, few, strict=True) if few_here],
        "converged": federation is None or federation.converged,
    }
