"""How a single run's models do by group of patients: in its folder, and in its model card."""

from __future__ import annotations

from pathlib import Path

from dermafed.server.model_card.card_writer import write_card
from dermafed.server.model_card.run_facts import FAIRNESS_FILE, simulated_facts
from dermafed.shared.storage.atomic_files import write_json
from dermafed.simulation.runs.run_settings import RunSettings
from dermafed.simulation.studies.fairness import judge
from dermafed.simulation.studies.queue import StudyRun


def tell_groups(settings: RunSettings, folder: Path) -> None:
    """Writes ``fairness.*`` into a finished run's folder, and its model card anew.

    Args:
        settings: the run's.
        folder: the run's.

    Raises:
        ImageError: a test image cannot be read any more.
        StorageError: the folder cannot be written.
    """
    lines = judge([StudyRun("this run", settings, folder)], folder)
    write_json(folder / FAIRNESS_FILE, {"title": "By group of patients", "lines": lines})
    write_card(folder, simulated_facts(folder))
