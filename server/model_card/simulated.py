"""What the folder of a run of ``fl-simulate`` tells of its model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dermafed.server.model_card.facts import CardFacts
from dermafed.server.model_card.groups import group_lines
from dermafed.server.rounds.checkpoint import RunState, load_state
from dermafed.server.rounds.run_folder import federation_folder
from dermafed.shared.errors import SettingsError
from dermafed.shared.metrics.calibration.calibration import weights_digest
from dermafed.shared.metrics.calibration.calibration_file import figures, load_calibration
from dermafed.shared.model.model_info import ModelInfo
from dermafed.shared.training.recipe import Recipe

RESULT_FILE, MODEL_FILE = "result.json", "model.keras"
_SETTINGS = ("strategy", "rounds", "batch_norm", "frozen_blocks", "split", "seed")


def is_simulation(run: Path) -> bool:
    """Whether the folder is one of ``fl-simulate``'s, finished or not."""
    return (run / "settings.json").is_file()


def simulated_facts(run: Path) -> CardFacts:
    """The facts of a simulation's federated model, from its result; no path of this machine is among them.

    Args:
        run: the run's folder.

    Raises:
        InputError: the run is not finished, or a file of it cannot be read.
        FederationError: its last state cannot be read.
    """
    path = run / RESULT_FILE
    if not path.is_file():
        raise SettingsError("This run is not finished", where=run, remedy="Run: fl-simulate --resume")
    state = load_state(federation_folder(run))
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
        validation_calibration=None if calibration is None else figures(calibration),
        explanations=(result.get("explanations") or {}).get("all"),
        groups=group_lines(run),
    )
