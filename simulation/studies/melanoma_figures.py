"""What a model makes of melanoma on test images and on their resamples: ranking, alert, benefit, argmax.

Ranking, the most probable class and the calibration are by image; the alert and the net benefit by lesion, as
in a run's ``result.json``. The threshold was chosen before, so it is the same in every resample.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dermafed.shared.metrics.calibration.reliability import BINS, ECE_BINS, bin_of
from dermafed.shared.metrics.decision.lesion_scores import lesion_scores
from dermafed.shared.metrics.decision.ranking import SENSITIVITIES, ranking_values
from dermafed.simulation.studies.drawn_tests import Bools, DrawnTests, Floats
from dermafed.simulation.studies.resampled_metrics import ALL

WITHIN, WORST = "within clinics", "worst clinic"

AUC, PARTIAL_AUC = "auc", "partial_auc"
SPECIFICITIES = tuple(f"specificity at {share:.0%} sensitivity".replace("%", " %") for share in SENSITIVITIES)
ALERT_SENSITIVITY, ALERT_SPECIFICITY = "sensitivity of the alert", "specificity of the alert"
BIOPSIES = "number needed to biopsy"
ARGMAX_SENSITIVITY, BALANCED_ACCURACY = "sensitivity of melanoma", "balanced_accuracy"
EQUAL = "{}, equal classes"
"""As if all classes were equally frequent: else the most probable class is mostly the most frequent one."""
EQUAL_SENSITIVITY, EQUAL_ACCURACY = EQUAL.format(ARGMAX_SENSITIVITY), EQUAL.format(BALANCED_ACCURACY)
CALIBRATION_ERROR = "calibration_error"

THRESHOLD_PROBABILITIES = {"5 %": 0.05, "10 %": 0.1, "20 %": 0.2}
BENEFITS = tuple(f"net benefit at {percent}" for percent in THRESHOLD_PROBABILITIES)
OVER_ALL = tuple(f"net benefit over all at {percent}" for percent in THRESHOLD_PROBABILITIES)
"""Net benefit less that of a biopsy of every lesion; of none it is 0."""

FEWEST_MELANOMAS = 20
"""Test melanomas (lesions) of a clinic that the worst one is chosen among."""
FEWEST_IMAGES = 100
"""Test images for a calibration error: of fewer, chance alone makes it large."""

_WORST: Mapping[str, Callable[..., Any]] = {
    **dict.fromkeys(
        (AUC, ALERT_SENSITIVITY, ALERT_SPECIFICITY, ARGMAX_SENSITIVITY, EQUAL_SENSITIVITY), np.min
    ),
    **dict.fromkeys((BIOPSIES, CALIBRATION_ERROR), np.max),
}


@dataclass(frozen=True, slots=True, eq=False)
class Figure:
    """One figure of one model.

    Attributes:
        values: on the images [0] and on every resample [1:], float64 (1 + R,).
        fewest: lesions, or patients, of the rarest class or side that it rests on.
    """

    values: Floats
    fewest: int


Figures = dict[tuple[str, str], Figure]
"""By test set and figure."""


def melanoma_figures(
    tests: DrawnTests,
    probabilities: NDArray[np.float32],
    threshold: float | None,
    equal: NDArray[np.float32] | None = None,
) -> Figures:
    """The figures on all images, at each clinic, within the clinics and of the worst one.

    Those that are not defined are left out: of melanoma where a test has none.

    Args:
        tests: the test images.
        probabilities: of the classes, (N, C).
        threshold: of the alert; ``None``: there is none.
        equal: the same as if all classes were equally frequent, (N, C); ``None``: they are not known.
    """
    scores = probabilities.astype(np.float64)
    found = {(ALL, name): figure for name, figure in _figures(tests, scores, threshold)}
    found |= {(ALL, name): figure for name, figure in _net_benefits(tests, scores)}
    if equal is not None:
        found |= {(ALL, EQUAL.format(name)): figure for name, figure in _most_probable(tests, equal)}
    for clinic in tests.clinics:
        here, at = tests.at(clinic), tests.clinic == clinic
        found |= {(clinic, name): figure for name, figure in _figures(here, scores[at], threshold)}
        if equal is not None:
            own = _most_probable(here, equal[at])
            found |= {(clinic, EQUAL.format(name)): figure for name, figure in own}
    return found | _over_clinics(tests, found)


def _over_clinics(tests: DrawnTests, found: Figures) -> Figures:
    melanoma, clinics = tests.is_melanoma, tests.clinics
    images = {name: int((melanoma & (tests.clinic == name)).sum()) for name in clinics}
    ranked = [name for name in clinics if (name, AUC) in found]
    over = {}
    if ranked:
        auc = np.stack([found[name, AUC].values for name in ranked])
        within = np.average(auc, axis=0, weights=[images[name] for name in ranked])
        over[WITHIN, AUC] = Figure(within, found[ALL, AUC].fewest)
    enough = {name for name in clinics if _melanoma_lesions(tests, name) >= FEWEST_MELANOMAS}
    for figure, worst in _WORST.items():
        chosen = clinics if figure == CALIBRATION_ERROR else enough
        own = [found[name, figure] for name in chosen if (name, figure) in found]
        if own:
            values = worst(np.stack([each.values for each in own]), axis=0)
            over[WORST, figure] = Figure(values, min(each.fewest for each in own))
    return over


def _melanoma_lesions(tests: DrawnTests, clinic: str) -> int:
    return np.unique(tests.lesions[tests.is_melanoma & (tests.clinic == clinic)]).size


def _figures(tests: DrawnTests, scores: Floats, threshold: float | None) -> Iterator[tuple[str, Figure]]:
    yield from _ranking(tests, scores)
    if threshold is not None:
        yield from _alert(tests, scores, threshold)
    yield from _most_probable(tests, scores)
    if tests.labels.size >= FEWEST_IMAGES:
        fewest = np.unique(tests.groups).size
        yield CALIBRATION_ERROR, Figure(_calibration_error(tests, scores), fewest)


def _ranking(tests: DrawnTests, scores: Floats) -> Iterator[tuple[str, Figure]]:
    melanoma = tests.is_melanoma
    if melanoma.any() and not melanoma.all():
        fewest = tests.fewest([melanoma, ~melanoma])
        values = ranking_values(scores[:, tests.melanoma], melanoma, tests.weights)
        for name, column in zip((AUC, PARTIAL_AUC, *SPECIFICITIES), values.T, strict=True):
            yield name, Figure(column, fewest)


def _most_probable(tests: DrawnTests, scores: NDArray[np.floating]) -> Iterator[tuple[str, Figure]]:
    right = scores.argmax(axis=1) == tests.labels
    sides = {label: tests.labels == label for label in np.unique(tests.labels)}
    recalls = {label: _share(tests.weights, right, side) for label, side in sides.items()}
    if tests.melanoma in recalls:
        fewest = tests.fewest([tests.is_melanoma])
        yield ARGMAX_SENSITIVITY, Figure(recalls[tests.melanoma], fewest)
    mean = np.mean(list(recalls.values()), axis=0)
    yield BALANCED_ACCURACY, Figure(mean, tests.fewest(list(sides.values())))


def _calibration_error(tests: DrawnTests, scores: Floats) -> Floats:
    """Expected calibration error of the top probabilities, in the bins of ``reliability``."""
    top, right = scores.max(axis=1), scores.argmax(axis=1) == tests.labels
    gaps = np.zeros((top.size, ECE_BINS))
    gaps[np.arange(top.size), bin_of(top) // (BINS // ECE_BINS)] = top - right
    return np.asarray(np.abs(tests.weights @ gaps).sum(axis=1) / tests.weights.sum(axis=1))


@dataclass(frozen=True, slots=True, eq=False)
class Lesions:
    """The lesions of test images.

    Attributes:
        scores: of melanoma, float64 (L,).
        melanoma: whether each is one, bool (L,).
        weights: how often each is in the test and in every resample, float64 (1 + R, L).
        fewest: lesions, or patients, of either side, by whether it is that of melanoma.
    """

    scores: Floats
    melanoma: Bools
    weights: Floats
    fewest: dict[bool, int]

    @classmethod
    def of(cls, tests: DrawnTests, probabilities: Floats) -> Lesions:
        """Take the images of each lesion together, as :func:`lesion_scores` does."""
        names = tests.lesions.tolist()
        found = lesion_scores(tests.labels, probabilities, tests.melanoma, names)
        _, first = np.unique(names, return_index=True)  # in the order of the lesions found
        melanoma = found.is_melanoma
        drawn = tests.groups[first]
        fewest = {side: np.unique(drawn[melanoma == side]).size for side in (False, True)}
        return cls(found.scores[:, found.melanoma], melanoma, tests.weights[:, first], fewest)


def _alert(tests: DrawnTests, scores: Floats, threshold: float) -> Iterator[tuple[str, Figure]]:
    lesions = Lesions.of(tests, scores)
    alerted, melanoma = lesions.scores >= threshold, lesions.melanoma
    if melanoma.any():
        found = _share(lesions.weights, alerted, melanoma)
        yield ALERT_SENSITIVITY, Figure(found, lesions.fewest[True])
    if not melanoma.all():
        spared = _share(lesions.weights, ~alerted, ~melanoma)
        yield ALERT_SPECIFICITY, Figure(spared, lesions.fewest[False])
    if (alerted & melanoma).any() and not melanoma.all():
        with np.errstate(divide="ignore", invalid="ignore"):  # a resample may have no found melanoma
            needed = 1 / _share(lesions.weights, melanoma, alerted)
        yield BIOPSIES, Figure(needed, min(lesions.fewest.values()))


def _net_benefits(tests: DrawnTests, scores: Floats) -> Iterator[tuple[str, Figure]]:
    lesions = Lesions.of(tests, scores)
    if lesions.melanoma.all() or not lesions.melanoma.any():
        return
    every, fewest = np.ones(lesions.scores.size, bool), min(lesions.fewest.values())
    for probability, name, over in zip(THRESHOLD_PROBABILITIES.values(), BENEFITS, OVER_ALL, strict=True):
        own = net_benefit(lesions, lesions.scores >= probability, probability)
        yield name, Figure(own, fewest)
        yield over, Figure(own - net_benefit(lesions, every, probability), fewest)


def net_benefit(lesions: Lesions, alerted: Bools, probability: float) -> Floats:
    """Net benefit (``shared.metrics.decision.net_benefit``) of an alert, on the lesions and every resample.

    Args:
        lesions: of a test.
        alerted: whether each has an alert, bool (L,).
        probability: the threshold probability, in (0, 1).

    Returns:
        Found melanomas a lesion, less the needless biopsies at their worth, float64 (1 + R,).
    """
    worth = np.where(lesions.melanoma, 1.0, -probability / (1 - probability)) * alerted
    return np.asarray(lesions.weights @ worth / lesions.weights.sum(axis=1))


def _share(weights: Floats, hit: Bools, of: Bools) -> Floats:
    """The share of hits among some images or lesions, in every resample (1 + R,)."""
    return np.asarray(weights @ (hit & of).astype(np.float64) / (weights @ of.astype(np.float64)))
