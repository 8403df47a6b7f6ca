"""Runs all arms of a study's runs in one queue, a process for each core, and loads the finished runs."""

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
from dermafed.simulation.runs.melanoma_results import ClinicsLesions
from dermafed.simulation.runs.processes import run_in_processes
from dermafed.simulation.runs.results import Predictions, TestImages
from dermafed.simulation.runs.run import RESULT_FILE as RESULT_FILE
from dermafed.simulation.runs.run import PreparedRun, Watcher, finish_run, prepare_run, run_folder
from dermafed.simulation.runs.run_settings import SETTINGS_FILE, RunSettings, load_settings, option_keys
from dermafed.simulation.studies.study import Study

OWN, ALONE = "own", "local"


@dataclass(frozen=True, slots=True)
class StudyRun:
    """One run of a study.

    Attributes:
        row: name of the study's row.
        settings: the run's settings, with the seed.
        folder: the run's folder, as ``fl-simulate --out`` writes it.
    """

    row: str
    settings: RunSettings
    folder: Path

    def result(self) -> dict[str, Any]:
        """The finished run's ``result.json``."""
        found: dict[str, Any] = json.loads((self.folder / RESULT_FILE).read_text("utf-8"))
        return found


def study_runs(study: Study, out: Path) -> list[StudyRun]:
    """The study's runs, with their folders below ``out``."""
    return [
        StudyRun(row, settings, out / "runs" / slug(row) / f"seed-{settings.seed}")
        for row, settings in study.runs()
    ]


def run_all(runs: Sequence[StudyRun], *, command: str, watcher: Watcher) -> None:
    """Runs all that are not done yet; an interrupted call can be repeated, and continues.

    Raises:
        SettingsError: a folder has a run with other settings.
        DermaFedError: a run failed; those before it remain.
    """
    waiting = [_prepare(run, watcher) for run in runs if not _is_done(run)]
    arms = [arm for run in waiting for arm in run.arms]
    progress, total = watcher.stage("Rounds of all runs"), sum(arm.plan.rounds for arm in arms)
    for _ in run_in_processes(run_arm, arms, processes=cores()):
        waiting = [run for run in waiting if not _finish(run, command)]
        progress(sum(_rounds_done(arm) for arm in arms), total)


def _prepare(run: StudyRun, watcher: Watcher) -> PreparedRun:
    with run_folder(run.folder):
        return prepare_run(run.settings, run.folder, threads=1, watcher=watcher)


def _rounds_done(arm: Arm) -> int:
    return len(read_history(arm.folder)) if (arm.folder / HISTORY_FILE).exists() else 0


def _is_done(run: StudyRun) -> bool:
    if (run.folder / SETTINGS_FILE).exists():
        before = load_settings(run.folder)[0]
        keys = [name for name in option_keys() if getattr(before, name) != getattr(run.settings, name)]
        if keys:
            its_own = ", ".join(f"{name} = {json.dumps(getattr(before, name))}" for name in keys)
            raise SettingsError(
                "This run of the study was started with other settings",
                where=run.folder,
                remedy=f"Give the row its {its_own}; or choose another --out, or remove that folder",
            )
    return (run.folder / RESULT_FILE).exists()


def _finish(run: PreparedRun, command: str) -> bool:
    """Finishes a run whose arms are all trained; whether they are."""
    done = all(arm.done for arm in run.arms)
    if done:
        rounds = [row for arm in run.arms for row in read_history(arm.folder)]
        finish_run(run, command=command, seconds=sum(row.seconds for row in rounds))
    return done


def saved_tests(run: StudyRun) -> TestImages:
    """Every clinic's test images of a finished run."""
    result = run.result()
    folders = clinic_folders(run)
    return TestImages([read_clinic_split(folder) for folder in folders], folders, tuple(result["classes"]))


def saved_lesions(run: StudyRun) -> ClinicsLesions:
    """Every clinic's validation and test images of a finished run."""
    folders = clinic_folders(run)
    splits = [read_clinic_split(folder) for folder in folders]
    return ClinicsLesions.of(splits, folders, tuple(run.result()["classes"]))


def saved_predictions(run: StudyRun, file: str = PREDICTIONS_FILE) -> dict[str, list[Predictions]]:
    """The probabilities of a finished run's models on each clinic's test images.

    Args:
        run: the finished run.
        file: name of one of the arms' files; models without it are left out.

    Returns:
        Predictions by arm: ``federated``, and where the run has them ``tuned`` (at every clinic those of the
        model that it tuned), ``pooled``, ``local`` (one for each clinic's model, on the images of all
        clinics) and ``own`` (at every clinic those of its own model).
    """
    clinics = [folder.name for folder in clinic_folders(run)]
    whole = (arm for arm in (FEDERATED, TUNED, POOLED) if _file(run, arm, file).exists())
    models = {arm: [_read(run, arm, file, clinics)] for arm in whole}
    if not all(_file(run, f"{LOCAL}{clinic}", file).exists() for clinic in clinics):
        return models
    alone = {clinic: _read(run, f"{LOCAL}{clinic}", file, clinics) for clinic in clinics}
    own = {clinic: predictions[clinic] for clinic, predictions in alone.items()}
    return models | {ALONE: list(alone.values()), OWN: [own]}


def differs_by_clinic(arm: str, settings: RunSettings) -> bool:
    """Whether every clinic has another model: its own, a tuned one, or its own batch normalisation."""
    return arm in (TUNED, OWN) or (arm == FEDERATED and settings.batch_norm == "local")


def clinic_folders(run: StudyRun) -> list[Path]:
    """The clinics' split folders, in the order of the saved predictions."""
    parent = run.folder / "sites" / "clinics"
    return [split_folder(parent, clinic["name"]) for clinic in run.result()["clinics"]]


def _file(run: StudyRun, arm: str, file: str) -> Path:
    return arm_folder(run, arm) / file


def arm_folder(run: StudyRun, arm: str) -> Path:
    """The folder of one of a run's arms."""
    return run.folder / "arms" / arm.replace(":", "-")


def _read(run: StudyRun, arm: str, file: str, clinics: list[str]) -> Predictions:
    return read_predictions(_file(run, arm, file), clinics)
