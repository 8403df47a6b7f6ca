"""What is known of a model's numbers as JSON types: the sums, and the figures that follow from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from dermafed.shared.errors import FederationError
from dermafed.shared.metrics.calibration.calibration import Trust
from dermafed.shared.metrics.calibration.calibration_sums import TrustSums
from dermafed.shared.metrics.calibration.out_of_distribution import SEEN
from dermafed.shared.metrics.calibration.reliability import ConfidenceBins
from dermafed.shared.metrics.calibration.selective_prediction import COVERAGE

FORMAT = 1


def to_document(trust: Trust) -> dict[str, Any]:
    """The sums and the figures; what stays at the clinic is not in it."""
    return {
        "format": FORMAT,
        "model_sha256": trust.model,
        "classes": list(trust.classes),
        "clinics": trust.clinics,
        "figures": figures(trust),
        "sums": {
            "temperature": trust.sums.temperature,
            "losses": trust.sums.losses.tolist(),
            "before": _bins_to_dict(trust.sums.before),
            "after": _bins_to_dict(trust.sums.after),
        },
    }


def from_document(values: Mapping[str, Any]) -> Trust:
    """The reading of :func:`to_document`; the figures are worked out anew.

    Raises:
        FederationError: a field is missing, or none that any images could give.
    """
    try:
        if values["format"] != FORMAT:
            raise ValueError("another format")
        sums = values["sums"]
        trust = Trust(
            str(values["model_sha256"]),
            tuple(map(str, values["classes"])),
            TrustSums(
                float(sums["temperature"]),
                np.array(sums["losses"], np.float64),
                _bins_from_dict(sums["before"]),
                _bins_from_dict(sums["after"]),
            ),
            int(values["clinics"]),
        )
    except (KeyError, ValueError, TypeError, OverflowError) as error:
        raise FederationError("a field is missing, or of another kind") from error
    trust.sums.validate(len(trust.classes))
    if trust.clinics < 1:
        raise FederationError("no clinic's images")
    return trust


def figures(trust: Trust) -> dict[str, Any]:
    """What there is to tell of a model's numbers, as JSON types."""
    sums, selection = trust.sums, trust.selection
    return {
        "images": sums.images,
        "clinics": trust.clinics,
        "temperature": sums.temperature,
        "before": _calibration(sums.before, sums.loss_before),
        "after": _calibration(sums.after, sums.loss_after),
        "unsure": {
            "rule": f"the highest threshold at which {COVERAGE:.0%} of the validation images are sure",
            "threshold": selection.threshold,
            "coverage": selection.coverage,
            "risk": selection.risk,
            "sure": dict(zip(trust.classes, selection.sure, strict=True)),
            "found": dict(zip(trust.classes, selection.found, strict=True)),
        },
        "outside": None
        if trust.rule is None
        else {
            "rule": f"beyond {SEEN:.0%} of the clinic's own validation images",
            "threshold": trust.rule.threshold,
            "images": trust.rule.images,
        },
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


def _bins_to_dict(bins: ConfidenceBins) -> dict[str, Any]:
    return {name: getattr(bins, name).tolist() for name in ("images", "correct", "confidence")}


def _bins_from_dict(values: Mapping[str, Any]) -> ConfidenceBins:
    images, correct = (_counts(values[name]) for name in ("images", "correct"))
    return ConfidenceBins(images, correct, np.array(values["confidence"], np.float64))


def _counts(values: Any) -> np.ndarray[Any, np.dtype[np.int64]]:
    found = np.array(values)
    if found.dtype != np.int64 or found.ndim != 2:
        raise ValueError("counts are whole numbers")
    return found
