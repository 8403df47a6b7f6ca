"""Runs a simulation: prepares the clinics, trains the arms, tests them once, writes the results."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dermafed.server.model_card.card_writer import write_card
from dermafed.server.model_card.run_facts import simulated_facts
from dermafed.shared.errors import DermaFedError, SettingsError
from dermafed.shared.model.model_info import ModelInfo, weights_origin
from dermafed.shared.process import cores
from dermafed.shared.protocol.plan import Plan
from dermafed.shared.report.html import write_report
from dermafed.shared.secure_sum.thresholds import least_cohort
from dermafed.shared.storage.atomic_files import write_json
from dermafed.shared.storage.lock import lock_folder
from dermafed.simulation.engines.cluster import check_cluster
from dermafed.simulation.runs.arms import (
    FEDERATED,
    OFFSETS_FILE,
    Arm,
    first_curve_soon,
    load_more_predictions,
    load_predictions,
    load_training,
    load_tuned_predictions,
    make_arms,
    run_arm,
)
from dermafed.simulation.runs.default_settings import SYNTHETIC
from dermafed.simulation.runs.example_images import contact_sheet, example_stages
from dermafed.simulation.runs.melanoma_results import ClinicsLesions, melanoma_results
from dermafed.simulation.runs.model_data import model_data
from dermafed.simulation.runs.prepare import Prepared, prepare, write_clinic_splits
from dermafed.simulation.runs.processes import fresh_processes
from dermafed.simulation.runs.results import TestImages, arms_history, run_result, write_history_table
from dermafed.simulation.runs.run_settings import (
    SETTINGS_FILE,
    RunSettings,
    check_settings,
    save_settings,
)
from dermafed.simulation.synthetic.dataset import draw_once

RESULT_FILE = "result.json"


class Watcher:
    """Receives a run's progress, which the command line shows."""

    def stage(self, title: str) -> Callable[[int, int], None]:
        """Starts a stage; returns a function to call with the number of finished items and of all items."""
        return lambda done, total: None

    def training(self, arms: list[Arm]) -> None:
        """Called every half second while the arms are being trained."""


@dataclass(frozen=True)
class PreparedRun:
    """A run whose clinics are prepared.

    Attributes:
        settings: the run's settings.
        out: the run's folder.
        prepared: the clinics.
        arms: the arms to train, in any process.
    """

    settings: RunSettings
    out: Path
    prepared: Prepared
    arms: list[Arm]


def simulate(
    settings: RunSettings, out: Path, *, threads: int, command: str, watcher: Watcher
) -> dict[str, Any]:
    """Runs a simulation, or continues one.

    Args:
        settings: the run's settings.
        out: the run's folder: a new one, or that of an earlier start of this run.
        threads: threads of the backend in each process.
        command: the user's command line, for the report.
        watcher: receives the progress.

    Returns:
        The content of ``result.json``.

    Raises:
        DermaFedError: the input cannot be used, in which case no file remains, or the run failed.
    """
    start = time.monotonic()
    with run_folder(out), fresh_processes(cores() if settings.baselines else 1) as processes:
        if not (out / RESULT_FILE).exists():
            # The slow imports of two arms, while this process draws and preprocesses images.
            processes.prepare(load_training, min(cores(), 2) if settings.baselines else 1)
        run = prepare_run(settings, out, threads=threads, watcher=watcher)
        for _ in processes.run(run_arm, [arm for arm in first_curve_soon(run.arms) if not arm.done]):
            watcher.training(run.arms)
        watcher.training(run.arms)
    return finish_run(run, command=command, seconds=time.monotonic() - start)


def prepare_run(settings: RunSettings, out: Path, *, threads: int, watcher: Watcher) -> PreparedRun:
    """Prepares a run's clinics within :func:`run_folder`; arguments and errors as of :func:`simulate`."""
    check_settings(settings)
    if settings.address is not None:
        own = [] if settings.data == SYNTHETIC else [Path(settings.data)]
        check_cluster(settings.address, [out, *own])
    save_settings(out, settings, threads)
    prepared = _prepare(settings, out, watcher)
    return PreparedRun(settings, out, prepared, _arms(settings, prepared, out, threads))


def finish_run(run: PreparedRun, *, command: str, seconds: float) -> dict[str, Any]:
    """Tests the trained arms once and writes the run's results.

    Args:
        run: a run whose arms are trained.
        command: the user's command line, for the report.
        seconds: the run's duration.

    Returns:
        The content of ``result.json``.
    """
    settings, out, prepared, arms = run.settings, run.out, run.prepared, run.arms
    tests = TestImages(prepared.clinics, arms[0].tests, prepared.class_map.names)
    predictions = {arm.name: load_predictions(arm) for arm in arms} | load_tuned_predictions(arms[0])
    more = [load_more_predictions(arm, OFFSETS_FILE).items() for arm in arms]
    with_offsets = {name: own for arm in more for name, own in arm}
    lesions = ClinicsLesions.of(prepared.clinics, arms[0].tests, prepared.class_map.names)
    melanoma = melanoma_results(lesions, arms)
    result = run_result(settings, prepared, arms, tests, predictions, with_offsets, melanoma)
    result |= {"command": command, "report": str(out / "report.html"), "model": str(out / "model.keras")}
    result["seconds"] = round(seconds, 1)
    history = arms_history(arms)
    write_history_table(out / "history.csv", history)
    tests.write_challenge_files(out, predictions[FEDERATED])
    write_report(
        out / "report.html",
        result,
        history=history,
        predictions={FEDERATED: tests.roc_input(predictions[FEDERATED])},
        stages=example_stages(prepared, settings.preprocess()),
        sheet=contact_sheet(prepared),
    )
    write_json(out / RESULT_FILE, result)
    write_card(out, simulated_facts(out))
    return result


def _prepare(settings: RunSettings, out: Path, watcher: Watcher) -> Prepared:
    data = Path(settings.data)
    if settings.data == SYNTHETIC:
        data = draw_once(out / "data", watcher.stage, seed=settings.seed)
    return prepare(data, settings, settings.preprocess(), watcher.stage("Preprocessing images"))


def _arms(settings: RunSettings, prepared: Prepared, out: Path, threads: int) -> list[Arm]:
    plan = settings.plan(prepared.class_map.names, prepared.class_counts(), threads)
    if (privacy := settings.privacy()).is_secure:  # refuses too few
        least_cohort(len(prepared.clinics), privacy.colluders, settings.robust().groups(privacy))
    clinics, pooled = write_clinic_splits(out / "sites", prepared.clinics)
    federated = Arm(
        FEDERATED,
        out / "arms" / FEDERATED,
        clinics,
        clinics,
        plan,
        settings.strategy,
        settings.engine,
        settings.weights,
        settings.tune,
        (out / "model.keras", _model_info(settings, prepared, plan)),
        explain=settings.explain,
        refit=settings.refit,
        own_layer=settings.own_layer,
        lesion_finder=settings.lesion_finder,
        audit_model=settings.audit_model,
        robust=settings.robust(),
        bits=settings.bits,
        address=settings.address,
        attack=settings.attack_among([clinic.name for clinic in prepared.clinics]),
        privacy=privacy,
    )
    return make_arms(federated, pooled if settings.baselines else None)


def _model_info(settings: RunSettings, prepared: Prepared, plan: Plan) -> ModelInfo:
    return ModelInfo(
        plan.model,
        plan.preprocess,
        weights_origin(settings.weights),
        plan.rounds,
        labels=dict(prepared.class_map.of),
        data=model_data(prepared),
        note=prepared.class_map.note,
    )


# Two checkpoints and the best model of an arm, of 16 MB for B0; the larger backbones take more.
BYTES_PER_ARM = 200_000_000


@contextmanager
def run_folder(out: Path) -> Iterator[None]:
    """Locks a run's folder for this process; removes its content if the run fails before its first state.

    Args:
        out: the folder of an earlier start of this run, or an empty or new one.

    Raises:
        StorageError: it cannot be made.
        SettingsError: another process works in it, or there is not enough space.
    """
    made = not out.exists()
    with lock_folder(out):
        is_new = not (out / SETTINGS_FILE).exists()
        try:
            _check_space(out)
            yield
        except (DermaFedError, OSError):
            # Trained states are never removed: such a run can be resumed.
            if is_new and not any(out.glob("arms/*/round-*.npz")):
                _remove_content(out, made)
            raise


def _remove_content(out: Path, made: bool) -> None:
    shutil.rmtree(out, ignore_errors=True)
    if not made:
        out.mkdir(exist_ok=True)


def _check_space(out: Path) -> None:
    free = shutil.disk_usage(out).free
    if free < BYTES_PER_ARM:
        raise SettingsError(
            f"Only {free / 1e6:.0f} MB are free", where=out, remedy="Free some space or choose another --out"
        )
