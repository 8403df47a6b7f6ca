"""A whole run: prepare the clinics, train the arms, judge them once, write what was found."""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from dermafed.server.model_card.card_writer import write_card
from dermafed.server.model_card.run_facts import simulated_facts
from dermafed.server.rounds.run_explanations import load_explanations
from dermafed.shared.lesions.clinic_split import ClinicSplit
from dermafed.shared.model.model_info import ModelInfo, weights_origin
from dermafed.shared.process import cores
from dermafed.shared.protocol.plan import Plan
from dermafed.shared.report.html import write_report
from dermafed.shared.storage.atomic_files import write_json
from dermafed.simulation.runs.arms import (
    FEDERATED,
    LOCAL,
    POOLED,
    TUNED,
    Arm,
    load_predictions,
    load_tuned,
    make_arms,
    run_arm,
)
from dermafed.simulation.runs.example_images import contact_sheet, example_stages
from dermafed.simulation.runs.prepare import Prepared, prepare, write_sites
from dermafed.simulation.runs.processes import run_in_processes
from dermafed.simulation.runs.results import (
    Predictions,
    TestImages,
    arm_result,
    arms_history,
    local_result,
    write_history_table,
)
from dermafed.simulation.runs.run_folder import run_folder
from dermafed.simulation.runs.run_settings import SYNTHETIC, RunSettings, check_settings, save_settings
from dermafed.simulation.synthetic.dataset import generate_dataset


class Watcher:
    """Told how a run goes on; the command line draws it."""

    def stage(self, what: str) -> Callable[[int, int], None]:
        """A stage of preparation begins; returns what is told the items done and their number."""
        return lambda done, total: None

    def training(self, arms: list[Arm]) -> None:
        """The arms are being trained; called now and then."""


@dataclass(frozen=True)
class Begun:
    """A run whose clinics are prepared.

    Attributes:
        settings: resolved.
        out: the run's folder.
        prepared: the clinics.
        arms: to be trained, in any process.
    """

    settings: RunSettings
    out: Path
    prepared: Prepared
    arms: list[Arm]


def simulate(
    settings: RunSettings, out: Path, *, threads: int, command: str, watcher: Watcher
) -> dict[str, Any]:
    """Runs, or goes on with, a simulation.

    Args:
        settings: resolved.
        out: the run's folder; it holds what an earlier start of this run left, or is not there.
        threads: of the backend in each process.
        command: what the user typed, for the report.
        watcher: told of the progress.

    Returns:
        The content of ``result.json``.

    Raises:
        DermaFedError: the input cannot be used, in which case nothing stays behind, or the run failed.
    """
    start = time.monotonic()
    with run_folder(out):
        begun = begin(settings, out, threads=threads, watcher=watcher)
        _train(begun.arms, watcher)
    return finish(begun, command=command, seconds=time.monotonic() - start)


def begin(settings: RunSettings, out: Path, *, threads: int, watcher: Watcher) -> Begun:
    """Prepares a run's clinics; arguments and errors as of :func:`simulate`, whose folder it must be."""
    check_settings(settings)
    save_settings(out, settings, threads)
    prepared = _prepare(settings, out, watcher)
    return Begun(settings, out, prepared, _arms(settings, prepared, out, threads))


def finish(begun: Begun, *, command: str, seconds: float) -> dict[str, Any]:
    """Judges the trained arms once and writes the run's results.

    Args:
        begun: its arms are trained.
        command: what the user typed, for the report.
        seconds: that it took.

    Returns:
        The content of ``result.json``.
    """
    settings, out, prepared, arms = begun.settings, begun.out, begun.prepared, begun.arms
    tests = TestImages(prepared.sites, arms[0].tests, prepared.class_map.names)
    predictions = {arm.name: load_predictions(arm) for arm in arms} | load_tuned(arms[0])
    result = _result(settings, prepared, arms, tests, predictions)
    result |= {"command": command, "report": str(out / "report.html"), "model": str(out / "model.keras")}
    result["seconds"] = round(seconds, 1)
    history = arms_history(arms)
    write_history_table(out / "history.csv", history)
    write_report(
        out / "report.html",
        result,
        history=history,
        predictions={FEDERATED: tests.roc_input(predictions[FEDERATED])},
        stages=example_stages(prepared, settings.preprocess()),
        sheet=contact_sheet(prepared),
    )
    write_json(out / "result.json", result)
    write_card(out, simulated_facts(out))
    return result


def _prepare(settings: RunSettings, out: Path, watcher: Watcher) -> Prepared:
    data = Path(settings.data)
    if settings.data == SYNTHETIC:
        data = out / "data"
        if not (data / "metadata.csv").exists():
            shutil.rmtree(data, ignore_errors=True)
            generate_dataset(data, seed=settings.seed, progress=watcher.stage("Drawing synthetic lesions"))
    return prepare(data, settings, settings.preprocess(), watcher.stage("Preprocessing images"))


def _arms(settings: RunSettings, prepared: Prepared, out: Path, threads: int) -> list[Arm]:
    plan = settings.plan(prepared.class_map.names, prepared.class_counts(), threads)
    sites, pooled = write_sites(out / "sites", prepared.sites)
    federated = Arm(
        FEDERATED,
        out / "arms" / FEDERATED,
        sites,
        sites,
        plan,
        settings.strategy,
        settings.engine,
        settings.weights,
        settings.tune,
        (out / "model.keras", _card(settings, prepared, plan)),
        explain=settings.explain,
    )
    return make_arms(federated, pooled if settings.baselines else None)


def _card(settings: RunSettings, prepared: Prepared, plan: Plan) -> ModelInfo:
    return ModelInfo(
        plan.model,
        plan.preprocess,
        weights_origin(settings.weights),
        plan.rounds,
        labels=dict(prepared.class_map.of),
        data=_fingerprint(prepared),
        note=prepared.class_map.note,
    )


def _fingerprint(prepared: Prepared) -> dict[str, Any]:
    """Counts, and a digest of the image names on each side: tells data sets apart, shows no image."""
    digest = hashlib.sha256()
    for site in prepared.sites:
        for side, records in site.splits.sides().items():
            names = "\n".join(sorted(record.image_id for record in records))
            digest.update(f"{site.name}\0{side}\0{names}\0".encode())
    counts = {site.name: site.images_per_class(prepared.class_map.names) for site in prepared.sites}
    return {"clinics": counts, "sha256": digest.hexdigest()}


def _train(arms: list[Arm], watcher: Watcher) -> None:
    for _ in run_in_processes(run_arm, arms, processes=min(cores(), len(arms))):
        watcher.training(arms)
    watcher.training(arms)


def _result(
    settings: RunSettings,
    prepared: Prepared,
    arms: list[Arm],
    tests: TestImages,
    by_name: dict[str, Predictions],
) -> dict[str, Any]:
    local = {arm.members[0].name: by_name[arm.name] for arm in arms if arm.name.startswith(LOCAL)}
    return {
        "title": f"Federation of {len(prepared.sites)} clinics",
        "version": version("dermafed"),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "settings": settings.to_dict(),
        "classes": list(prepared.class_map.names),
        "clinics": [_clinic(site, prepared) for site in prepared.sites],
        "federated": arm_result(tests, by_name[FEDERATED]),
        "tuned": arm_result(tests, by_name[TUNED]) if TUNED in by_name else None,
        "local": local_result(tests, local) if local else None,
        "pooled": arm_result(tests, by_name[POOLED]) if POOLED in by_name else None,
        "explanations": load_explanations(arms[0].folder) if settings.explain else None,
        "notes": list(prepared.notes),
    }


def _clinic(site: ClinicSplit, prepared: Prepared) -> dict[str, Any]:
    sides = site.splits.sides()
    return {
        "name": site.name,
        "images": site.images_per_class(prepared.class_map.names),
        "splits": {side: len(records) for side, records in sides.items()},
    }
