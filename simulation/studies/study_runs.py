"""All runs of a study as one queue: a process a core, each at an arm of some run, and nothing done twice."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dermafed.server.rounds.history import HISTORY_FILE, read_history
from dermafed.shared.errors import SettingsError
from dermafed.shared.lesions.clinic_split import read_clinic_split, split_folder
from dermafed.shared.names import slug
from dermafed.shared.process import cores
from dermafed.simulation.runs.arms import (
    FEDERATED,
    LOCAL,
    POOLED,
    PREDICTIONS_FILE,
    TUNED,
    Arm,
    read_predictions,
    run_arm,
)
from dermafed.simulation.runs.processes import run_in_processes
from dermafed.simulation.runs.results import Predictions, TestImages
from dermafed.simulation.runs.run import Begun, Watcher, begin, finish
from dermafed.simulation.runs.run_folder import run_folder
from dermafed.simulation.runs.run_settings import SETTINGS_FILE, RunSettings, load_settings
from dermafed.simulation.studies.study import Study

RESULT_FILE = "result.json"


@dataclass(frozen=True, slots=True)
class StudyRun:
    """One run of a study.

    Attributes:
        row: the study's row.
        settings: with the seed.
        folder: as ``fl-simulate --out`` would leave it.
    """

    row: str
    settings: RunSettings
    folder: Path

    def result(self) -> dict[str, Any]:
        """The run's ``result.json``, once it is there."""
        found: dict[str, Any] = json.loads((self.folder / RESULT_FILE).read_text("utf-8"))
        return found


def study_runs(study: Study, out: Path) -> list[StudyRun]:
    """The study's runs, with their folders below ``out``."""
    return [
        StudyRun(row, settings, out / "runs" / slug(row) / f"seed-{settings.seed}")
        for row, settings in study.runs()
    ]


def run_all(runs: Sequence[StudyRun], *, command: str, watcher: Watcher) -> None:
    """Runs what is not done yet; an interrupted call goes on where it was.

    Raises:
        SettingsError: a folder holds a run with other settings.
        DermaFedError: a run failed; those before it are kept.
    """
    waiting = [_begin(run, watcher) for run in runs if not _is_done(run)]
    arms = [arm for begun in waiting for arm in begun.arms]
    told, total = watcher.stage("Rounds of all runs"), sum(arm.plan.rounds for arm in arms)
    for _ in run_in_processes(run_arm, arms, processes=cores()):
        waiting = [begun for begun in waiting if not _finished(begun, command)]
        told(sum(_rounds_done(arm) for arm in arms), total)


def _begin(run: StudyRun, watcher: Watcher) -> Begun:
    with run_folder(run.folder):
        return begin(run.settings, run.folder, threads=1, watcher=watcher)


def _rounds_done(arm: Arm) -> int:
    return len(read_history(arm.folder)) if (arm.folder / HISTORY_FILE).exists() else 0


def _is_done(run: StudyRun) -> bool:
    if (run.folder / SETTINGS_FILE).exists() and load_settings(run.folder)[0] != run.settings:
        raise SettingsError(
            "This run of the study was started with other settings",
            where=run.folder,
            remedy="Choose another --out, or remove that folder",
        )
    return (run.folder / RESULT_FILE).exists()


def _finished(begun: Begun, command: str) -> bool:
    done = all((arm.folder / PREDICTIONS_FILE).exists() for arm in begun.arms)
    if done:
        rounds = [row for arm in begun.arms for row in read_history(arm.folder)]
        finish(begun, command=command, seconds=sum(row.seconds for row in rounds))
    return done


OWN, ALONE = "own", "local"


def saved_tests(run: StudyRun) -> TestImages:
    """Every clinic's test images of a finished run."""
    result = run.result()
    folders = _clinics(run)
    return TestImages([read_clinic_split(folder) for folder in folders], folders, tuple(result["classes"]))


def saved_predictions(run: StudyRun) -> dict[str, list[Predictions]]:
    """The models of a finished run, as their probabilities on each clinic's test images.

    Returns:
        By who trained them: ``federated``, and where the run has them ``tuned`` (one, put together: at every
        clinic what it made of the federated one), ``pooled``, ``local`` (each clinic's model on everyone's
        images, to be averaged over) and ``own`` (one, put together: at every clinic its own model).
    """
    clinics = [folder.name for folder in _clinics(run)]
    whole = (arm for arm in (FEDERATED, TUNED, POOLED) if _file(run, arm).exists())
    models = {arm: [_read(run, arm, clinics)] for arm in whole}
    if not _file(run, f"{LOCAL}{clinics[0]}").exists():
        return models
    alone = {clinic: _read(run, f"{LOCAL}{clinic}", clinics) for clinic in clinics}
    own = {clinic: predictions[clinic] for clinic, predictions in alone.items()}
    return models | {ALONE: list(alone.values()), OWN: [own]}


def differs_by_clinic(arm: str, settings: RunSettings) -> bool:
    """Whether it is not one model, but at every clinic another: its own, tuned, or with its own norm."""
    return arm in (TUNED, OWN) or (arm == FEDERATED and settings.batch_norm == "local")


def _clinics(run: StudyRun) -> list[Path]:
    """The site folders, in the order of the kept predictions."""
    parent = run.folder / "sites" / "clinics"
    return [split_folder(parent, clinic["name"]) for clinic in run.result()["clinics"]]


def _file(run: StudyRun, arm: str) -> Path:
    return run.folder / "arms" / arm.replace(":", "-") / PREDICTIONS_FILE


def _read(run: StudyRun, arm: str, clinics: list[str]) -> Predictions:
    return read_predictions(_file(run, arm), clinics)
