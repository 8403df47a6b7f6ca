"""What a finished run keeps: its test images, and every model's probabilities on them."""

from __future__ import annotations

from pathlib import Path

from dermafed.shared.lesions.clinic_split import read_clinic_split, split_folder
from dermafed.simulation.runs.arms import FEDERATED, LOCAL, POOLED, PREDICTIONS_FILE, TUNED, read_predictions
from dermafed.simulation.runs.results import Predictions, TestImages
from dermafed.simulation.runs.run_settings import RunSettings
from dermafed.simulation.studies.queue import StudyRun

OWN, ALONE = "own", "local"


def kept_tests(run: StudyRun) -> TestImages:
    """Every clinic's test images of a finished run."""
    result = run.result()
    folders = _clinics(run)
    return TestImages([read_clinic_split(folder) for folder in folders], folders, tuple(result["classes"]))


def kept_models(run: StudyRun) -> dict[str, list[Predictions]]:
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


def at_home(arm: str, settings: RunSettings) -> bool:
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
