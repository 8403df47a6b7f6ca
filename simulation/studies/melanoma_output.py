"""The tables of a study's figures of melanoma."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dermafed.simulation.studies.melanoma_figures import (
    ALERT_SENSITIVITY,
    ALERT_SPECIFICITY,
    ARGMAX_SENSITIVITY,
    AUC,
    BALANCED_ACCURACY,
    BENEFITS,
    BIOPSIES,
    CALIBRATION_ERROR,
    EQUAL_ACCURACY,
    EQUAL_SENSITIVITY,
    OVER_ALL,
    PARTIAL_AUC,
    SPECIFICITIES,
    WITHIN,
    WORST,
)
from dermafed.simulation.studies.resampled_metrics import ALL
from dermafed.simulation.studies.saved_models import AS_TRAINED
from dermafed.simulation.studies.second_opinions import BY_DISAGREEMENT, BY_PROBABILITY, DIFFERENCE
from dermafed.simulation.studies.summary import markdown as table

Line = dict[str, Any]

CORE_MINUTES = "core minutes"

_TITLE = (
    "# Melanoma: mean over the seeds, 95 % over images and trainings; of one seed, over images only\n\n"
    "Ranking, most probable class and calibration by image; alert and net benefit by lesion."
)
_RANKING = (AUC, PARTIAL_AUC, *SPECIFICITIES)
_ALERT = (ALERT_SENSITIVITY, ALERT_SPECIFICITY, BIOPSIES)
_MOST_PROBABLE = (ARGMAX_SENSITIVITY, BALANCED_ACCURACY, CALIBRATION_ERROR)
_EQUAL = (EQUAL_SENSITIVITY, EQUAL_ACCURACY)
_TABLES = {
    "Ranking, all test images": (ALL, _RANKING),
    "Ranking within clinics, weighted by melanomas": (WITHIN, (AUC,)),
    "The worst clinic of each figure": (
        WORST,
        (AUC, *_ALERT, ARGMAX_SENSITIVITY, EQUAL_SENSITIVITY, CALIBRATION_ERROR),
    ),
    "The alert at the threshold chosen for 95 % of validation melanomas": (ALL, _ALERT),
    "Net benefit; of a biopsy of no lesion it is 0": (ALL, (*BENEFITS, *OVER_ALL)),
    "The most probable class": (ALL, (*_MOST_PROBABLE, CORE_MINUTES)),
    "Two models' disagreement as a doubt: AUC over wrong and right answers of the federated model": (
        ALL,
        (BY_PROBABILITY, BY_DISAGREEMENT, DIFFERENCE),
    ),
    "The most probable class, as if all classes were equally frequent": (ALL, _EQUAL),
}
_CLINIC = (AUC, ALERT_SENSITIVITY, ALERT_SPECIFICITY, *_MOST_PROBABLE, *_EQUAL)


def markdown(lines: Sequence[Line]) -> str:
    """The figures as Markdown: tables for all images, the worst clinic, and each clinic; differences as rows.

    Args:
        lines: those of :func:`dermafed.simulation.studies.melanoma.melanoma_lines`.
    """
    over = {ALL, WITHIN, WORST}
    clinics = dict.fromkeys(line["tests"] for line in lines if line["tests"] not in over)
    parts = _TABLES | {f"The clinic {name}": (name, _CLINIC) for name in clinics}
    text = [_TITLE, *_as_trained(lines)]
    for title, (tests, figures) in parts.items():
        own = {
            name: [line for line in lines if (line["tests"], line["figure"]) == (tests, name)]
            for name in figures
        }
        shown = [line for found in own.values() for line in found]
        if shown:
            text.append(f"## {title}\n\n{table(shown, tests=tests).rstrip()}")
    return "\n\n".join(text) + "\n"


def _as_trained(lines: Sequence[Line]) -> list[str]:
    """Which models have no predictions with offsets."""
    models = dict.fromkeys(
        f"{line['row']}, {line['arm']}"
        for line in lines
        if line["predictions"] == AS_TRAINED and " - " not in line["arm"]
    )
    return [f"As trained, without offsets: {'; '.join(models)}."] if models else []
