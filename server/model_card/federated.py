"""What the record of a federation tells of a run's last model."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

from dermafed.server.coordinator.export import model_card
from dermafed.server.coordinator.server_settings import RUNS
from dermafed.server.model_card.facts import CardFacts
from dermafed.server.record.database import Record
from dermafed.server.record.runs import Run
from dermafed.server.rounds.calibration import load_run_calibration
from dermafed.server.rounds.checkpoint import RunState, has_state, load_state
from dermafed.server.rounds.explanations import EXPLANATIONS_FILE, load_explanations
from dermafed.server.rounds.run_folder import row_values
from dermafed.shared.errors import FederationError, SettingsError
from dermafed.shared.metrics.calibration.calibration import weights_digest
from dermafed.shared.metrics.calibration.calibration_file import figures
from dermafed.shared.protocol.offer import Offer


def federated_facts(record: Record, run: Run) -> CardFacts:
    """The facts of the model of a run's last round; of single clinics only their names.

    Args:
        record: of the federation.
        run: one of its runs.

    Raises:
        SettingsError: no round of it is finished.
        FederationError: a file of it cannot be read.
    """
    folder = record.path.parent / RUNS / run.folder_name
    if not run.rounds_done or not has_state(folder):
        raise SettingsError(
            f"No round of the run '{run.name}' is finished", where=folder, remedy="See: fl-server status"
        )
    state, offer = load_state(folder), Offer.from_text(run.offer)
    card = model_card(record, run, folder, state)
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
        validation=next((row_values(row) for row in state.history if row.round == state.round), None),
        validation_calibration=_validation_calibration(folder, state),
        explanations=_explanations(folder, state),
    )


def _validation_calibration(folder: Path, state: RunState) -> dict[str, Any] | None:
    """Only of this very model: the run may have gone on since it was calibrated."""
    calibration = load_run_calibration(folder)
    same = calibration is not None and calibration.model == weights_digest(state.weights)
    return figures(calibration) if calibration is not None and same else None


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
