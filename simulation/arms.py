"""The arms of a run: the federation, and the two baselines that say what joining gives.

Each arm is a federation, of all clinics, of one clinic alone, or of one that holds everyone's
images; so recipe and budget are the same by construction.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from flwr.app import Context
from numpy.typing import NDArray

from client.app import build_client_app
from client.site_trainer import batch_norm_files, site_trainer
from client.trainers import KeptTrainers
from server.app import build_server_app
from server.checkpoint import has_state, load_state
from server.rules import RoundRules
from server.strategy import make_strategy
from shared.datasets.site import read_site
from shared.files import write_atomically
from shared.model.flat import FloatVector, to_flat, trainable_mask
from shared.model.model_file import ModelCard, save_model
from shared.model.weights import initial_classifier
from shared.training.backend import configure_backend
from shared.training.keras_trainer import KerasTrainer, predict
from shared.training.loading import load_labelled
from shared.training.plan import Plan

FEDERATED, POOLED, LOCAL = "federated", "pooled", "local:"
PREDICTIONS_FILE = "test.npz"


@dataclass(frozen=True, slots=True)
class Arm:
    """One federation to train, and the sites to test it on.

    Attributes:
        name: ``federated``, ``pooled`` or ``local:NAME``.
        folder: where its states, history and test predictions go.
        members: site folders of the clinics that train.
        tests: site folders whose test images it is judged on.
        plan: the model, the preprocessing and the recipe.
        strategy: the server's strategy, by name.
        engine: ``local`` or ``ray``.
        weights: the origin of the first weights.
    """

    name: str
    folder: Path
    members: tuple[Path, ...]
    tests: tuple[Path, ...]
    plan: Plan
    strategy: str
    engine: str
    weights: str

    def state_of(self, site: Path) -> Path:
        """Where a clinic keeps what it does not share."""
        return self.folder / "clinics" / site.name


@dataclass(frozen=True)
class SiteTrainers:
    """Builds the trainer of a context's partition; pickled to wherever the engine works."""

    arm: Arm

    def __call__(self, context: Context) -> KerasTrainer:
        """The trainer of the context's clinic."""
        site = self.arm.members[int(context.node_config["partition-id"])]
        return site_trainer(site, self.arm.plan, self.arm.state_of(site))


def run_arm(arm: Arm) -> None:
    """Trains an arm from where it stopped, and tests it once.

    Raises:
        DermaFedError: the run cannot start or go on.
    """
    configure_backend(arm.plan.threads)
    _train(arm)
    if not (arm.folder / PREDICTIONS_FILE).exists():
        _test(arm, load_state(arm.folder).weights)


def load_predictions(arm: Arm) -> dict[str, NDArray[np.float32]]:
    """An arm's probabilities (N, C) on each site's test images, by site."""
    with np.load(arm.folder / PREDICTIONS_FILE) as file:
        return {site.name: file[site.name] for site in arm.tests}


def save_final_model(arm: Arm, path: Path, card: ModelCard) -> None:
    """Saves an arm's last model with its card."""
    save_model(path, load_state(arm.folder).weights, card)


def _train(arm: Arm) -> None:
    state = load_state(arm.folder) if has_state(arm.folder) else None
    if state is not None and state.round >= arm.plan.rounds:
        return
    model = initial_classifier(arm.plan.model, arm.weights, seed=arm.plan.seed)
    server = build_server_app(
        to_flat(model),
        len(arm.plan.model.classes),
        RoundRules(rounds=arm.plan.rounds, clinics=len(arm.members), quorum=len(arm.members)),
        arm.folder,
        strategy=make_strategy(arm.strategy if len(arm.members) > 1 else "fedavg"),
        settings=arm.plan.to_dict(),
        adapted=trainable_mask(model),
        resume=True,
    )
    trainers = KeptTrainers(SiteTrainers(arm))
    client = build_client_app(trainers)
    try:
        _engine(arm)(server, client, [site.name for site in arm.members])
    finally:
        trainers.forget()


def _engine(arm: Arm):  # type: ignore[no-untyped-def]
    # A baseline has one member: nothing for Ray to spread.
    if arm.engine == "ray" and len(arm.members) > 1:
        from simulation.engines.ray import run_ray

        return run_ray
    from simulation.engines.local import run_local

    return run_local


def _test(arm: Arm, weights: FloatVector) -> None:
    """Predicts every site's test images, with the site's own batch normalisation if it has one."""
    plan, predictions = arm.plan, {}
    for site in arm.tests:
        images = load_labelled(read_site(site).splits.test, plan.model, plan.preprocess)
        # A baseline's only member judges every site.
        own = batch_norm_files(plan, arm.state_of(site if site in arm.members else arm.members[0]))
        predictions[site.name] = predict(plan.model, weights, images, round=plan.rounds, memory=own)
    content = io.BytesIO()
    np.savez(content, **predictions)
    write_atomically(arm.folder / PREDICTIONS_FILE, content.getvalue())
