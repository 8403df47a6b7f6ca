"""How well scores rank melanomas above other lesions, over clinics and within them, with intervals.

The AUC over all images compares a melanoma of one clinic with a nevus of another: a model that only learnt
which camera sees what gains by it. Within clinics, only images of one clinic are compared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dermafed.shared.metrics.decision.operating_point import Estimate
from dermafed.shared.metrics.decision.roc_curves import RocCurves
from dermafed.shared.metrics.intervals import draw_lesions, percentile_interval

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

ABOVE = 0.8
"""The partial area is that above this sensitivity."""
SENSITIVITIES = (0.9, 0.95)
"""At which specificities are read from the curve."""

METHOD = "percentile bootstrap over lesions or patients, stratified by clinic and class"
_CHUNK = 100  # resamples at a time: bounds the memory


@dataclass(frozen=True, slots=True, eq=False)
class ScoredImages:
    """A clinic's test images.

    Attributes:
        scores: of melanoma, float64 (N,).
        melanoma: whether each is one, bool (N,).
        groups: the patient, else the lesion, of each image (N).
    """

    scores: Floats
    melanoma: Bools
    groups: Sequence[str]


@dataclass(frozen=True, slots=True)
class RankingMetrics:
    """What a ROC curve shows; each estimate has the number of lesions or patients it rests on.

    Attributes:
        melanomas: images of melanomas.
        others: other images.
        auc: area under the curve.
        partial_auc: area above a sensitivity of 80 %, from 0 to 0.2.
        specificity_at: the highest specificity with at least a sensitivity, by that sensitivity.
    """

    melanomas: int
    others: int
    auc: Estimate
    partial_auc: Estimate
    specificity_at: dict[str, Estimate]


@dataclass(frozen=True, slots=True)
class Ranking:
    """The ranking of one or several models' scores on the test images of clinics.

    Attributes:
        together: of all images; ``None`` without melanomas or without others.
        auc_within: mean of the clinics' AUC, weighted by their images of melanomas.
        clinics: of each clinic, by name.
    """

    together: RankingMetrics | None
    auc_within: Estimate
    clinics: dict[str, RankingMetrics | None]

    def to_dict(self) -> dict[str, Any]:
        """The ranking as JSON types."""
        return asdict(self)


def melanoma_ranking(clinics: Mapping[str, ScoredImages], *, seed: int = 0, bootstrap: int = 1000) -> Ranking:
    """Measure a ranking; lesions, or patients, are drawn for the intervals, the same for every figure.

    Args:
        clinics: the test images of each clinic.
        seed: of the bootstrap.
        bootstrap: number of resamples.
    """
    own = list(clinics.values())
    scores = np.concatenate([each.scores for each in own])
    melanoma = np.concatenate([each.melanoma for each in own])
    clinic = np.repeat(np.arange(len(own)), [each.scores.size for each in own])
    names = [f"{place}/{name}" for place, each in enumerate(own) for name in each.groups]
    _, group = np.unique(names, return_inverse=True)
    draws = draw_lesions(2 * clinic + melanoma, group, np.random.default_rng(seed), bootstrap)
    weights = np.concatenate([np.ones((1, group.size)), draws[:, group]])

    def measured(images: Bools) -> tuple[RankingMetrics | None, Floats]:
        side, count = melanoma[images], np.unique(group[images]).size
        if side.all() or not side.any():
            return None, np.empty(0)
        values = ranking_values(scores[images], side, weights[:, images])
        return _metrics(values, side, count), values[:, 0]

    found = {name: measured(clinic == place) for place, name in enumerate(clinics)}
    together = measured(np.ones(group.size, bool))[0]
    return Ranking(together, _within(list(found.values())), {name: each[0] for name, each in found.items()})


def ranking_values(scores: Floats, melanoma: Bools, weights: Floats) -> Floats:
    """AUC, the area above :data:`ABOVE` and the specificity at each of :data:`SENSITIVITIES`.

    Args:
        scores: of melanoma, float64 (N,).
        melanoma: whether each image is one, bool (N,), with both values.
        weights: how often each image counts, one row for each resample, float64 (R, N).

    Returns:
        float64 (R, 2 + S).
    """
    chunks = []
    for start in range(0, len(weights), _CHUNK):
        curves = RocCurves.of(scores, melanoma, weights[start : start + _CHUNK])
        read = [curves.specificity_at(sensitivity) for sensitivity in SENSITIVITIES]
        chunks.append(np.stack([curves.auc, curves.area_above(ABOVE), *read], axis=1))
    return np.concatenate(chunks)


def _metrics(values: Floats, melanoma: Bools, groups: int) -> RankingMetrics:
    auc, partial, *read = (_estimate(column, groups) for column in values.T)
    at = {str(sensitivity): each for sensitivity, each in zip(SENSITIVITIES, read, strict=True)}
    return RankingMetrics(int(melanoma.sum()), int((~melanoma).sum()), auc, partial, at)


def _within(clinics: list[tuple[RankingMetrics | None, Floats]]) -> Estimate:
    known = [(metrics, auc) for metrics, auc in clinics if metrics is not None]
    if not known:
        return Estimate(None, None, 0)
    mean = np.average([auc for _, auc in known], axis=0, weights=[each.melanomas for each, _ in known])
    return _estimate(mean, sum(each.auc.n for each, _ in known))


def _estimate(values: Floats, groups: int) -> Estimate:
    return Estimate(float(values[0]), percentile_interval(values[1:], METHOD), groups)
