"""Sums and offsets of a calibration as JSON types, and back; what cannot be is a ValueError or KeyError."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dermafed.shared.metrics.calibration.calibration_sums import CalibrationSums
from dermafed.shared.metrics.calibration.class_offsets import ClassOffsets
from dermafed.shared.metrics.calibration.clinic_offsets import ClinicOffsets
from dermafed.shared.metrics.calibration.offset_fit import FittedOffsets
from dermafed.shared.metrics.calibration.reliability import ConfidenceBins
from dermafed.shared.metrics.decision.score_histogram import ScoreHistogram
from dermafed.shared.metrics.evaluation import BINS


def sums_to_dict(sums: CalibrationSums) -> dict[str, Any]:
    """Sums over validation images."""
    offsets = {"offsets": list(sums.offsets), "offsets_loss": sums.offsets_loss} if sums.offsets else {}
    return {
        "temperature": sums.temperature,
        "losses": sums.losses.tolist(),
        "before": _bins_to_dict(sums.before),
        "after": _bins_to_dict(sums.after),
        **offsets,
    }


def sums_from_dict(values: Mapping[str, Any]) -> CalibrationSums:
    """Read :func:`sums_to_dict`; files of before the offsets have none."""
    loss = values.get("offsets_loss")
    return CalibrationSums(
        float(values["temperature"]),
        np.array(values["losses"], np.float64),
        _bins_from_dict(values["before"]),
        _bins_from_dict(values["after"]),
        tuple(map(float, values.get("offsets", ()))),
        None if loss is None else float(loss),
    )


def federation_to_dict(fitted: FittedOffsets) -> dict[str, Any]:
    """The scale and offsets that all clinics fitted."""
    return {
        **_point_to_dict(fitted.point),
        "counts": list(fitted.counts),
        "loss": fitted.loss,
        "points": fitted.points,
        "clinics": fitted.clinics,
        "converged": fitted.converged,
    }


def federation_from_dict(values: Mapping[str, Any], classes: int) -> FittedOffsets:
    """Read :func:`federation_to_dict`; raises FederationError on another number of classes."""
    counts = tuple(map(int, values["counts"]))
    loss, points, clinics = float(values["loss"]), int(values["points"]), int(values["clinics"])
    if len(counts) != classes or min(counts) < 0 or not (sum(counts) and 0 <= loss < math.inf):
        raise ValueError("offsets of no images")
    point = _point_from_dict(values, classes)
    return FittedOffsets(point, counts, loss, points, clinics, bool(values["converged"]))


def own_to_dict(own: ClinicOffsets) -> dict[str, Any]:
    """A clinic's own scale and offsets, which stay there."""
    return {**_point_to_dict(own.point), "shares": list(own.shares), "bins": _bins_to_dict(own.bins)}


def own_from_dict(values: Mapping[str, Any], classes: int) -> ClinicOffsets:
    """Read :func:`own_to_dict`; raises FederationError on another number of classes."""
    shares, bins = tuple(map(float, values["shares"])), _bins_from_dict(values["bins"])
    if len(shares) != classes or not all(0 < share < 1 for share in shares):
        raise ValueError("shares of other classes")
    bins.validate(int(bins.images.sum()), classes)
    return ClinicOffsets(_point_from_dict(values, classes), shares, bins)


def scores_to_dict(scores: ScoreHistogram) -> dict[str, Any]:
    """Lesions by their score: of each bin that is not empty, by the number of the bin, how many."""
    others, melanomas = (
        {str(place): int(side[place]) for place in np.flatnonzero(side)} for side in scores.counts
    )
    return {"bins": scores.counts.shape[1], "others": others, "melanomas": melanomas}


def scores_from_dict(values: Mapping[str, Any]) -> ScoreHistogram:
    """Read :func:`scores_to_dict`; raises FederationError on counts that no lesions give."""
    counts = np.zeros((2, BINS), np.int64)
    if values["bins"] != BINS:
        raise ValueError("other bins")
    for side, name in enumerate(("others", "melanomas")):
        for place, count in values[name].items():
            if type(count) is not int or not 0 <= int(place) < BINS:
                raise ValueError("counts are whole numbers of bins")
            counts[side, int(place)] = count
    found = ScoreHistogram(counts)
    found.validate()
    return found


def _point_to_dict(point: ClassOffsets) -> dict[str, Any]:
    return {"scale": point.scale, "offsets": list(point.offsets)}


def _point_from_dict(values: Mapping[str, Any], classes: int) -> ClassOffsets:
    point = ClassOffsets(float(values["scale"]), tuple(map(float, values["offsets"])))
    point.validate(classes)
    return point


def _bins_to_dict(bins: ConfidenceBins) -> dict[str, Any]:
    return {name: getattr(bins, name).tolist() for name in ("images", "correct", "confidence")}


def _bins_from_dict(values: Mapping[str, Any]) -> ConfidenceBins:
    images, correct = (_counts(values[name]) for name in ("images", "correct"))
    return ConfidenceBins(images, correct, np.array(values["confidence"], np.float64))


def _counts(values: Any) -> NDArray[np.int64]:
    found = np.array(values)
    if found.dtype != np.int64 or found.ndim != 2:
        raise ValueError("counts are whole numbers")
    return found
