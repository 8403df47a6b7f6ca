"""The arms of a run: the federation, and the two baselines that say what joining gives.

Each arm is a federation, of all clinics, of one clinic alone, or of one that holds everyone's
images; so recipe and budget are the same by construction.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dermafed.shared.model.model_info import ModelInfo
from dermafed.shared.protocol.plan import Plan
from dermafed.shared.storage.atomic_files import write_atomically

FEDERATED, TUNED, POOLED, LOCAL = "federated", "tuned", "pooled", "local:"
PREDICTIONS_FILE = "test.npz"


@dataclass(frozen=True, slots=True)
class Arm:
    """One federation to train, and the sites to test it on.

    Attributes:
        name: ``federated``, ``pooled`` or ``local:SITE``.
        folder: where its states, history and test predictions go.
        members: site folders of the clinics that train.
        tests: site folders whose test images it is judged on.
        plan: the model, the preprocessing and the recipe.
        strategy: the server's strategy, by name.
        engine: ``local`` or ``ray``.
        weights: the origin of the first weights.
        tune: passes that each clinic goes on alone after the last round, to be judged with its own model too.
        model: where to save the final model, if at all, and its card.
        explain: whether the clinics measure explanations of the final model.
    """

    name: str
    folder: Path
    members: tuple[Path, ...]
    tests: tuple[Path, ...]
    plan: Plan
    strategy: str
    engine: str
    weights: str
    tune: float = 0.0
    model: tuple[Path, ModelInfo] | None = None
    explain: bool = False

    @property
    def tuned_predictions(self) -> Path:
        """Where the predictions of the clinics' tuned models go."""
        return self.folder.parent / TUNED / PREDICTIONS_FILE

    def state_of(self, site: Path) -> Path:
        """Where a clinic keeps what it does not share."""
        return self.folder / "clinics" / site.name


def make_arms(federated: Arm, pooled_site: Path | None) -> list[Arm]:
    """The federated arm and, where there is a pooled site, the baselines.

    In order of their size: the longest start first, so that two processes end together.
    """
    if pooled_site is None:
        return [federated]
    alone = [(f"{LOCAL}{site.name}", site) for site in federated.members]
    return [federated, *(_baseline(federated, name, site) for name, site in [(POOLED, pooled_site), *alone])]


def _baseline(federated: Arm, name: str, site: Path) -> Arm:
    folder = federated.folder.parent / name.replace(":", "-")
    return Arm(name, folder, (site,), federated.tests, federated.plan, "fedavg", "local", federated.weights)


def run_arm(arm: Arm) -> None:
    """Trains and tests an arm; for a process of its own."""
    # Here, so that the process that only waits never loads TensorFlow.
    from dermafed.simulation.runs.train_arm import train_and_test

    train_and_test(arm)


def load_predictions(arm: Arm) -> dict[str, NDArray[np.float32]]:
    """An arm's probabilities (N, C) on each site's test images, by site folder name."""
    return read_predictions(arm.folder / PREDICTIONS_FILE, [site.name for site in arm.tests])


def load_tuned(arm: Arm) -> dict[str, dict[str, NDArray[np.float32]]]:
    """The same of the clinics' tuned models, under their name; empty where none were tuned."""
    sites = [site.name for site in arm.tests]
    return {TUNED: read_predictions(arm.tuned_predictions, sites)} if arm.tune else {}


def read_predictions(path: Path, sites: Iterable[str]) -> dict[str, NDArray[np.float32]]:
    """The probabilities (N, C) of :func:`save_predictions`, by the sites' names in their order."""
    with np.load(path) as file:
        return {site: file[str(number)] for number, site in enumerate(sites)}


def save_predictions(path: Path, sites: Iterable[NDArray[np.float32]]) -> None:
    """Writes the probabilities (N, C) on each site's test images, in the sites' order."""
    content = io.BytesIO()
    named: Any = {str(number): own for number, own in enumerate(sites)}
    np.savez(content, **named)
    write_atomically(path, content.getvalue())
