"""The plots of a study's figures of melanoma: all models with intervals, and the curves of one row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from dermafed.shared.metrics.decision.roc_curves import RocCurves
from dermafed.simulation.runs.arms import POOLED
from dermafed.simulation.runs.melanoma_results import THRESHOLD_PROBABILITIES
from dermafed.simulation.studies.drawn_tests import DrawnTests, Floats
from dermafed.simulation.studies.melanoma_figures import (
    ALERT_SENSITIVITY,
    ARGMAX_SENSITIVITY,
    AUC,
    BALANCED_ACCURACY,
    SPECIFICITIES,
    WITHIN,
    Lesions,
    net_benefit,
)
from dermafed.simulation.studies.models import models_plot
from dermafed.simulation.studies.plots import as_svg, curve, panels
from dermafed.simulation.studies.resampled_metrics import ALL
from dermafed.simulation.studies.saved_models import has_melanoma, saved_models, together
from dermafed.simulation.studies.study_runs import StudyRun, saved_lesions

Line = dict[str, Any]

GRID = np.linspace(0, 1, 101)
"""Sensitivities at which curves are averaged."""

_EVERY = "biopsy of all"
_PANELS = {
    (WITHIN, AUC): "AUC of melanoma within clinics",
    (ALL, SPECIFICITIES[-1]): SPECIFICITIES[-1],
    (ALL, ALERT_SENSITIVITY): ALERT_SENSITIVITY,
    (ALL, ARGMAX_SENSITIVITY): "sensitivity, most probable class",
    (ALL, BALANCED_ACCURACY): "balanced accuracy, all tests",
}


def figures_plot(lines: Sequence[Line]) -> bytes:
    """Draws the models from top to bottom, a panel for each of the main figures, as SVG.

    Args:
        lines: those of :func:`dermafed.simulation.studies.melanoma.melanoma_lines`.
    """
    return models_plot([line for line in lines if " - " not in line["arm"]], _PANELS)


def curves_plot(runs: Sequence[StudyRun]) -> bytes:
    """Draws ROC and decision curves of the models of the first row with a pooled one, else of the first row.

    Args:
        runs: finished runs; those that do not know melanoma are left out.

    Returns:
        SVG.
    """
    known = [run for run in runs if has_melanoma(saved_lesions(run))]
    arms = {run.row: saved_models(run).keys() for run in known}
    row = next((row for row, own in arms.items() if POOLED in own), next(iter(arms)))
    figure, axes = panels(2, shared=False)
    curves = [model_curves(run) for run in known if run.row == row]
    names = list(dict.fromkeys(arm for own in curves for arm in own))
    for number, arm in enumerate(names):
        roc, benefit = (np.mean([own[arm][k] for own in curves if arm in own], axis=0) for k in range(2))
        if arm != _EVERY:
            curve(axes[0], number, arm, 1 - roc, GRID)
        curve(axes[1], number, arm, THRESHOLD_PROBABILITIES, benefit)
    _label(axes, row)
    return as_svg(figure)


def _label(axes: Sequence[Axes], row: str) -> None:
    axes[0].set(xlabel="1 - specificity", ylabel="sensitivity within clinics", title=row)
    axes[1].set(xlabel="threshold probability", ylabel="net benefit, all tests")
    axes[1].set_ylim(bottom=-0.02)
    axes[1].axhline(0, color="#666666", linewidth=0.8)
    axes[1].legend(frameon=False, loc="upper right")


def model_curves(run: StudyRun) -> dict[str, tuple[Floats, Floats]]:
    """The curves of a run's models, and those of a biopsy of every lesion.

    Returns:
        By arm, the specificity within clinics at each sensitivity of :data:`GRID`, the clinics weighted by
        their melanomas (101,), and the net benefit at each of ``THRESHOLD_PROBABILITIES``.
    """
    lesions = saved_lesions(run)
    tests = DrawnTests.of(lesions, 0)
    found = {}
    for arm, saved in saved_models(run).items():
        scores = together(lesions, saved.test).astype(np.float64)
        found[arm] = (_specificities(tests, scores), _benefits(tests, scores))
    nothing = np.zeros((tests.labels.size, len(tests.classes)))
    nothing[:, tests.melanoma] = 1
    return found | {_EVERY: (1 - GRID, _benefits(tests, nothing))}


def _specificities(tests: DrawnTests, scores: Floats) -> Floats:
    curves, weights = [], []
    for clinic in tests.clinics:
        own = tests.at(clinic)
        melanoma = own.is_melanoma
        if melanoma.any() and not melanoma.all():
            of = scores[tests.clinic == clinic, tests.melanoma]
            roc = RocCurves.of(of, melanoma, own.weights)
            curves.append([roc.specificity_at(sensitivity)[0] for sensitivity in GRID])
            weights.append(melanoma.sum())
    return np.average(curves, axis=0, weights=weights) if curves else np.full(GRID.size, np.nan)


def _benefits(tests: DrawnTests, scores: Floats) -> Floats:
    lesions = Lesions.of(tests, scores)
    benefits = [net_benefit(lesions, lesions.scores >= t, t)[0] for t in THRESHOLD_PROBABILITIES]
    return np.array(benefits)
