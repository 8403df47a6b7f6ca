"""Collect the facts of a model card, from a federation's record or from a simulation's folder."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from dermafed.server.coordinator.export import model_info
from dermafed.server.coordinator.federation_folder import RUNS
from dermafed.server.model_card.card_facts import CardFacts
from dermafed.server.record.record_database import Record
from dermafed.server.record.runs_table import Run
from dermafed.server.rounds.checkpoint import RunState, federated_folder, has_state, load_state
from dermafed.server.rounds.history import row_values
from dermafed.server.rounds.run_audit import load_run_audit
from dermafed.server.rounds.run_calibration import load_run_calibration
from dermafed.server.rounds.run_explanations import EXPLANATIONS_FILE, load_explanations
from dermafed.shared.errors import FederationError, SettingsError
from dermafed.shared.lesions.record import SIDES
from dermafed.shared.metrics.calibration.calibration_file import calibration_metrics, load_calibration
from dermafed.shared.model.model_info import ModelInfo
from dermafed.shared.model.weights_digest import weights_digest
from dermafed.shared.names import slug
from dermafed.shared.protocol.offer import Offer
from dermafed.shared.training.recipe import Recipe

RESULT_FILE, MODEL_FILE = "result.json", "model.keras"
_SETTINGS = ("strategy", "rounds", "batch_norm", "frozen_blocks", "split", "seed")
FAIRNESS_FILE = "fairness.json"


def federated_facts(record: Record, run: Run) -> CardFacts:
    """The facts of the model of a run's last round; of single clinics only their names.

    Args:
        record: the federation's database.
        run: one of its runs.

    Raises:
        SettingsError: no round of the run is finished.
        FederationError: a file of the run cannot be read.
    """
    folder = record.path.parent / RUNS / run.folder_name
    if not run.rounds_done or not has_state(folder):
        raise SettingsError(
            f"No round of the run '{run.name}' is finished", where=folder, remedy="See: fl-server status"
        )
    state, offer = load_state(folder), Offer.from_text(run.offer)
    card = model_info(record, run, folder, state)
    return CardFacts(
        name=run.name,
        version=version("dermafed"),
        day=(run.ended or run.asked)[:10],
        model=card,
        recipe=offer.recipe,
        training={
            "strategy": offer.strategy,
            "rounds": offer.rounds,
            "batch_norm": offer.model.batch_norm,
            "frozen_blocks": offer.model.frozen_blocks,
            "split": offer.split,
            "seed": offer.seed,
        },
        clinics=dict.fromkeys(card.data["clinics"]),
        images=card.data["training_images"],
        counted="Training images",
        validation=next((row_values(row) for row in reversed(state.history) if not row.rolled_back), None),
        validation_calibration=_validation_calibration(folder, state),
        explanations=_explanations(folder, state),
        audit=_audit(folder, state),
    )


def _validation_calibration(folder: Path, state: RunState) -> dict[str, Any] | None:
    """Only of this very model: the run may have gone on since it was calibrated."""
    calibration = load_run_calibration(folder)
    same = calibration is not None and calibration.model == weights_digest(state.weights)
    return calibration_metrics(calibration) if calibration is not None and same else None


def _explanations(folder: Path, state: RunState) -> dict[str, Any] | None:
    path = folder / EXPLANATIONS_FILE
    if not path.exists():
        return None
    try:
        content = load_explanations(folder)
        found: dict[str, Any] | None = content["all"] if content["round"] == state.round else None
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise FederationError("The run's explanations cannot be read", where=path) from error
    return found


def _audit(folder: Path, state: RunState) -> dict[str, Any] | None:
    """Only of this very model, as above."""
    found = load_run_audit(folder)
    return found if found is not None and found["round"] == state.round else None


def is_simulation(run: Path) -> bool:
    """Whether the folder is one of ``fl-simulate``'s, finished or not."""
    return (run / "settings.json").is_file()


def simulated_facts(run: Path) -> CardFacts:
    """The facts of a simulation's federated model, from its result; without any path of this machine.

    Args:
        run: the run's folder.

    Raises:
        InputError: the run is not finished, or a file of it cannot be read.
        FederationError: its last state cannot be read.
    """
    path = run / RESULT_FILE
    if not path.is_file():
        raise SettingsError("This run is not finished", where=run, remedy="Run: fl-simulate --resume")
    state = load_state(federated_folder(run))
    card_file = (run / MODEL_FILE).with_suffix(".json")
    try:
        result = json.loads(path.read_text("utf-8"))
        card = ModelInfo.from_dict(json.loads(card_file.read_text("utf-8")))
        return _facts(run, result, card, state)
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise SettingsError(
            f"The run's {path.name} or {card_file.name} cannot be read",
            where=run,
            remedy="Copy the run's folder again, or run it anew",
        ) from error


def _facts(run: Path, result: Mapping[str, Any], card: ModelInfo, state: RunState) -> CardFacts:
    federated, settings = result["federated"], result["settings"]
    calibration = load_calibration(run / MODEL_FILE, weights_digest(state.weights))
    return CardFacts(
        name=result["title"],
        version=result["version"],
        day=result["created"][:10],
        model=card,
        recipe=Recipe.from_dict(state.settings["recipe"]),
        training={name: settings[name] for name in _SETTINGS},
        clinics={clinic["name"]: sum(clinic["images"].values()) for clinic in result["clinics"]},
        images={
            name: sum(clinic["images"][name] for clinic in result["clinics"]) for name in result["classes"]
        },
        counted="Images",
        simulated=settings["clinics"],
        synthetic=settings["data"] == "synthetic",
        tests={"all clinics": federated["test"], **federated["clinics"]},
        calibration=federated.get("calibration"),
        validation_calibration=None if calibration is None else calibration_metrics(calibration),
        explanations=(result.get("explanations") or {}).get("all"),
        audit=result.get("audit"),
        groups=group_lines(run),
        sides=_sides(result["clinics"]),
        test_alert=_test_alert(result),
        skips_bad=settings.get("skip_bad"),
        compared=bool(result.get("pooled")),
    )


def _sides(clinics: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    return {side: sum(clinic["splits"][side] for clinic in clinics) for side in SIDES}


def _test_alert(result: Mapping[str, Any]) -> dict[str, Any] | None:
    """Of the federated model as trained; version 0.1.0 did not measure it."""
    melanoma = (result.get("melanoma") or {}).get("as_trained", {}).get("federated")
    return melanoma["one_threshold"] if melanoma else None


def group_lines(run: Path) -> list[dict[str, Any]] | None:
    """The groups of a simulation's federated model; in a study the mean over the seeds of its row.

    Args:
        run: the folder of a run; in a study's ``runs/ROW/seed-N``.

    Returns:
        Lines of ``attribute``, ``group``, ``images`` and metrics, each with ``value``, ``low`` and ``high``
        (``None`` without an interval), or ``None`` if it must not be published; ``None`` as a whole if the
        model was not evaluated by group.

    Raises:
        SettingsError: the file cannot be read.
    """
    row, runs = run.resolve().parent, run.resolve().parent.parent
    of_study, of_run = runs.parent / FAIRNESS_FILE, run / FAIRNESS_FILE
    in_study = runs.name == "runs" and of_study.is_file()
    path = of_study if in_study else of_run
    if not path.is_file():
        return None
    try:
        lines = json.loads(path.read_text("utf-8"))["lines"]
        own = [line for line in lines if line["kind"] == "group" and line["arm"] == "federated"]
        return [line for line in own if not in_study or slug(line["row"]) == row.name]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise SettingsError(
            "The evaluation by group cannot be read", where=path, remedy="Run the same command again"
        ) from error
