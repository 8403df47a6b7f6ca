"""What a run found: the local, pooled and federated models judged on the same test images."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dermafed.server.rounds.history import read_history, row_values
from dermafed.shared.lesions.clinic_split import ClinicSplit
from dermafed.shared.lesions.record import LesionRecord
from dermafed.shared.metrics.calibration.reliability import ConfidenceBins
from dermafed.shared.metrics.classification import ClassificationMetrics, classification_report
from dermafed.shared.storage.atomic_files import write_atomically
from dermafed.simulation.runs.arms import FEDERATED, POOLED, TUNED, Arm

FIGURES = ("balanced_accuracy", "accuracy", "auc")
Predictions = dict[str, NDArray[np.float32]]
HistoryRows = list[dict[str, Any]]


class TestImages:
    """Every clinic's test images: labels, groups, and how a model did on them."""

    def __init__(
        self, sites: Sequence[ClinicSplit], folders: Sequence[Path], classes: tuple[str, ...]
    ) -> None:
        self.classes = classes
        self.records = {folder.name: site.splits.test for folder, site in zip(folders, sites, strict=True)}
        self.names = {folder.name: site.name for folder, site in zip(folders, sites, strict=True)}

    def at(self, site: str, predictions: Predictions) -> ClassificationMetrics:
        """A model's figures on one clinic's test images."""
        return self._report(self.records[site], predictions[site])

    def pooled(self, predictions: Predictions) -> ClassificationMetrics:
        """A model's figures on all clinics' test images together."""
        return self._report(*self._together(predictions))

    def calibration(self, predictions: Predictions) -> dict[str, Any]:
        """How far a model's top probabilities are from how often it is right, on all test images together."""
        bins = ConfidenceBins.count(*self.roc_input(predictions))
        return {"expected_calibration_error": bins.error, "interval": asdict(bins.error_interval())}

    def roc_input(self, predictions: Predictions) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Labels (N,) and probabilities (N, C) on all clinics' test images."""
        records, probabilities = self._together(predictions)
        return self._labels(records), probabilities.astype(np.float64)

    def _together(self, predictions: Predictions) -> tuple[list[LesionRecord], NDArray[np.float32]]:
        records = [record for own in self.records.values() for record in own]
        return records, np.concatenate([predictions[site] for site in self.records])

    def _labels(self, records: Sequence[LesionRecord]) -> NDArray[np.int64]:
        return np.array([self.classes.index(record.label) for record in records], np.int64)

    def _report(
        self, records: Sequence[LesionRecord], probabilities: NDArray[np.float32]
    ) -> ClassificationMetrics:
        groups = [record.group for record in records]
        return classification_report(self._labels(records), probabilities, self.classes, groups=groups)


def arm_result(tests: TestImages, predictions: Predictions) -> dict[str, Any]:
    """The figures of the federated or the pooled model."""
    pooled = tests.pooled(predictions).to_dict()
    clinics = {tests.names[site]: tests.at(site, predictions).to_dict() for site in tests.records}
    return {
        **{name: pooled[name] for name in FIGURES},
        "test": pooled,
        "calibration": tests.calibration(predictions),
        "clinics": clinics,
        "mean_over_clinics": _mean(clinics.values()),
    }


def local_result(tests: TestImages, models: Mapping[str, Predictions]) -> dict[str, Any]:
    """The figures of the clinics' own models.

    Args:
        tests: the test images.
        models: each clinic's own model's predictions, by site folder name.
    """
    on_all = {site: tests.pooled(predictions).to_dict() for site, predictions in models.items()}
    everywhere = [_mean([tests.at(s, p).to_dict() for s in tests.records]) for p in models.values()]
    return {
        **_mean(on_all.values()),
        "models": {tests.names[site]: figures for site, figures in on_all.items()},
        "clinics": {tests.names[site]: tests.at(site, own).to_dict() for site, own in models.items()},
        "mean_over_clinics": _mean(everywhere),
    }


def arms_history(arms: Sequence[Arm]) -> HistoryRows:
    """Every arm's rounds, with the arm's name."""
    return [{"arm": arm.name, **row_values(row)} for arm in arms for row in read_history(arm.folder)]


def write_history_table(path: Path, rows: HistoryRows) -> None:
    """Writes the rounds of all arms as CSV."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_atomically(path, text.getvalue().encode())


def summary_rows(result: Mapping[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    """The result as rows for a table: test images of, model, figures."""
    rows: list[tuple[str, str, dict[str, Any]]] = []
    arms = [(arm, result[arm]) for arm in ("local", FEDERATED, TUNED, POOLED) if result.get(arm)]
    for clinic in (entry["name"] for entry in result["clinics"]):
        rows += [
            (clinic, "own" if arm == "local" else arm, figures["clinics"][clinic]) for arm, figures in arms
        ]
    rows += [
        ("all clinics", "own, mean" if arm == "local" else arm, figures)
        for arm, figures in arms
        if arm != TUNED
    ]
    return rows


def _mean(figures: Collection[Mapping[str, Any]]) -> dict[str, float | None]:
    """The mean of each figure over several test sets or models; those without it are left out."""
    values = {name: [row[name] for row in figures if row[name] is not None] for name in FIGURES}
    return {name: fmean(known) if known else None for name, known in values.items()}
