"""A run's results: metrics of the local, pooled and federated models on the same test images."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dermafed.server.rounds.history import read_history, row_values
from dermafed.server.rounds.run_audit import load_run_audit
from dermafed.server.rounds.run_explanations import load_explanations
from dermafed.shared.lesions.clinic_split import ClinicSplit
from dermafed.shared.lesions.record import LesionRecord
from dermafed.shared.metrics.calibration.reliability import ConfidenceBins
from dermafed.shared.metrics.challenge_csv import write_challenge_files
from dermafed.shared.metrics.classification import ClassificationMetrics, classification_report
from dermafed.shared.storage.atomic_files import csv_text, write_atomically
from dermafed.simulation.runs.arms import (
    FEDERATED,
    LOCAL,
    POOLED,
    TUNED,
    Arm,
    load_backdoor,
    load_found_lesions,
)
from dermafed.simulation.runs.prepare import Prepared
from dermafed.simulation.runs.run_settings import RunSettings

METRICS = ("balanced_accuracy", "accuracy", "auc")
Predictions = dict[str, NDArray[np.float32]]
HistoryRows = list[dict[str, Any]]


class TestImages:
    """Every clinic's test images, by the name of its split folder, and the metrics of models on them."""

    def __init__(
        self, clinics: Sequence[ClinicSplit], folders: Sequence[Path], classes: tuple[str, ...]
    ) -> None:
        by_folder = dict(zip((folder.name for folder in folders), clinics, strict=True))
        self.classes = classes
        self.records = {folder: clinic.splits.test for folder, clinic in by_folder.items()}
        self.names = {folder: clinic.name for folder, clinic in by_folder.items()}

    def at(self, clinic: str, predictions: Predictions) -> ClassificationMetrics:
        """A model's metrics on one clinic's test images."""
        return self._report(self.records[clinic], predictions[clinic])

    def pooled(self, predictions: Predictions) -> ClassificationMetrics:
        """A model's metrics on all clinics' test images together."""
        return self._report(*self._together(predictions))

    def calibration(self, predictions: Predictions) -> dict[str, Any]:
        """The expected calibration error of a model's top probabilities, on all test images together."""
        bins = ConfidenceBins.count(*self.roc_input(predictions))
        return {"expected_calibration_error": bins.error, "interval": asdict(bins.error_interval())}

    def roc_input(self, predictions: Predictions) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Labels (N,) and probabilities (N, C) on all clinics' test images."""
        records, probabilities = self._together(predictions)
        return self._labels(records), probabilities.astype(np.float64)

    def write_challenge_files(self, folder: Path, predictions: Predictions) -> None:
        """Write a model's predictions on all clinics' test images, and the truth, for ISIC 2018's scorer."""
        records, probabilities = self._together(predictions)
        images = [record.image_id for record in records]
        write_challenge_files(folder, images, self._labels(records), probabilities, self.classes)

    def _together(self, predictions: Predictions) -> tuple[list[LesionRecord], NDArray[np.float32]]:
        records = [record for own in self.records.values() for record in own]
        return records, np.concatenate([predictions[clinic] for clinic in self.records])

    def _labels(self, records: Sequence[LesionRecord]) -> NDArray[np.int64]:
        return np.array([self.classes.index(record.label) for record in records], np.int64)

    def _report(
        self, records: Sequence[LesionRecord], probabilities: NDArray[np.float32]
    ) -> ClassificationMetrics:
        groups = [record.group for record in records]
        return classification_report(self._labels(records), probabilities, self.classes, groups=groups)


def run_result(
    settings: RunSettings,
    prepared: Prepared,
    arms: list[Arm],
    tests: TestImages,
    predictions: dict[str, Predictions],
    with_offsets: dict[str, Predictions] | None = None,
    melanoma: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """A run's ``result.json`` but for its command, files and duration.

    Args:
        settings: the run's settings.
        prepared: the clinics.
        arms: the trained arms, the federated one first.
        tests: the test images.
        predictions: every model's predictions on them, by the name of its arm.
        with_offsets: the same with scale and offsets, of the models that have them.
        melanoma: what the models make of melanoma, of :mod:`dermafed.simulation.runs.melanoma_results`.
    """
    return {
        "title": f"Federation of {len(prepared.clinics)} clinics",
        "version": version("dermafed"),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "settings": settings.to_dict(),
        "classes": list(prepared.class_map.names),
        "clinics": [_clinic(clinic, prepared) for clinic in prepared.clinics],
        **_models(tests, arms, predictions),
        "offsets": _models(tests, arms, with_offsets) if with_offsets else None,
        "melanoma": melanoma,
        "explanations": load_explanations(arms[0].folder) if settings.explain else None,
        **({"lesion_finder": load_found_lesions(arms[0])} if settings.lesion_finder else {}),
        **({"audit": load_run_audit(arms[0].folder)} if settings.audit_model else {}),
        **({"backdoor": load_backdoor(arms[0])} if _has_backdoor(arms[0]) else {}),
        "notes": list(prepared.notes),
    }


def _has_backdoor(arm: Arm) -> bool:
    return arm.attack is not None and arm.attack.has_patch


def _models(tests: TestImages, arms: list[Arm], predictions: dict[str, Predictions]) -> dict[str, Any]:
    """The metrics of each model that has predictions, by its arm; of the others ``None``."""
    local = {
        arm.members[0].name: predictions[arm.name]
        for arm in arms
        if arm.name.startswith(LOCAL) and arm.name in predictions
    }
    of = {
        name: arm_result(tests, predictions[name]) if name in predictions else None
        for name in (FEDERATED, TUNED)
    }
    pooled = arm_result(tests, predictions[POOLED]) if POOLED in predictions else None
    return {**of, "local": local_result(tests, local) if local else None, "pooled": pooled}


def _clinic(clinic: ClinicSplit, prepared: Prepared) -> dict[str, Any]:
    sides = clinic.splits.sides()
    return {
        "name": clinic.name,
        "images": clinic.images_per_class(prepared.class_map.names),
        "splits": {side: len(records) for side, records in sides.items()},
    }


def arm_result(tests: TestImages, predictions: Predictions) -> dict[str, Any]:
    """The metrics of the federated or the pooled model."""
    pooled = tests.pooled(predictions).to_dict()
    clinics = {name: tests.at(clinic, predictions).to_dict() for clinic, name in tests.names.items()}
    return {
        **{name: pooled[name] for name in METRICS},
        "test": pooled,
        "calibration": tests.calibration(predictions),
        "clinics": clinics,
        "mean_over_clinics": _mean(clinics.values()),
    }


def local_result(tests: TestImages, models: Mapping[str, Predictions]) -> dict[str, Any]:
    """The metrics of the clinics' own models.

    Args:
        tests: the test images.
        models: predictions of each clinic's own model, by the name of its split folder.
    """
    on_all = {clinic: tests.pooled(predictions).to_dict() for clinic, predictions in models.items()}
    everywhere = [_mean([tests.at(c, p).to_dict() for c in tests.records]) for p in models.values()]
    return {
        **_mean(on_all.values()),
        "models": {tests.names[clinic]: metrics for clinic, metrics in on_all.items()},
        "clinics": {tests.names[clinic]: tests.at(clinic, own).to_dict() for clinic, own in models.items()},
        "mean_over_clinics": _mean(everywhere),
    }


def arms_history(arms: Sequence[Arm]) -> HistoryRows:
    """Every arm's rounds, with the arm's name."""
    return [{"arm": arm.name, **row_values(row)} for arm in arms for row in read_history(arm.folder)]


def write_history_table(path: Path, rows: HistoryRows) -> None:
    """Writes the rounds of all arms as CSV; each clinic's part in them is in its arm's own history."""
    columns = [name for name in rows[0] if name != "clinics"]
    cells = ({name: row[name] for name in columns} for row in rows)
    write_atomically(path, csv_text(columns, cells).encode())


def summary_rows(result: Mapping[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    """The result as rows for a table: the clinic of the test images, the model, its metrics."""
    rows: list[tuple[str, str, dict[str, Any]]] = []
    arms = [(arm, result[arm]) for arm in ("local", FEDERATED, TUNED, POOLED) if result.get(arm)]
    for clinic in (entry["name"] for entry in result["clinics"]):
        rows += [
            (clinic, "own" if arm == "local" else arm, metrics["clinics"][clinic]) for arm, metrics in arms
        ]
    rows += [
        ("all clinics", "own, mean" if arm == "local" else arm, metrics)
        for arm, metrics in arms
        if arm != TUNED
    ]
    offsets = result.get("offsets") or {}
    return rows + [
        ("all clinics", f"{arm}, with offsets", offsets[arm])
        for arm in (FEDERATED, POOLED)
        if offsets.get(arm)
    ]


def _mean(results: Collection[Mapping[str, Any]]) -> dict[str, float | None]:
    """The mean of each metric over several test sets or models; those without it are left out."""
    values = {name: [row[name] for row in results if row[name] is not None] for name in METRICS}
    return {name: fmean(known) if known else None for name, known in values.items()}
