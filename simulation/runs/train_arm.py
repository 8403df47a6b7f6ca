"""Training and testing one arm, in a process of its own."""

from __future__ import annotations

import math
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

import keras
from flwr.app import Context

from dermafed.client.node.client_app import TrainerCache, build_client_app
from dermafed.client.node.clinic_trainer import batch_norm_files, build_clinic_trainer
from dermafed.client.node.explanation_quality import (
    ClinicExplanationQuality,
    build_explanation_quality,
    score_cam,
)
from dermafed.server.rounds.checkpoint import has_state, load_state
from dermafed.server.rounds.round_rules import RoundRules
from dermafed.server.rounds.run_explanations import EXPLANATIONS_FILE
from dermafed.server.rounds.server_app import build_server_app
from dermafed.server.rounds.strategies import make_strategy
from dermafed.shared.lesions.clinic_split import read_clinic_split
from dermafed.shared.model.classifier import to_flat, trainable_mask
from dermafed.shared.model.initial_weights import initial_classifier
from dermafed.shared.model.model_file import save_model
from dermafed.shared.storage.lock import lock_folder
from dermafed.shared.training.backend import configure_backend
from dermafed.shared.training.data import load_labelled
from dermafed.shared.training.keras_trainer import KerasTrainer
from dermafed.shared.training.predict import predict
from dermafed.shared.training.trainer import FloatVector
from dermafed.simulation.engines.local import run_local
from dermafed.simulation.engines.ray import run_ray
from dermafed.simulation.runs.arms import PREDICTIONS_FILE, Arm, save_predictions
from dermafed.simulation.runs.tuning import tuned_model


@dataclass(frozen=True)
class ClinicTrainers:
    """Builds the trainer of a context's partition; pickled to wherever the engine works."""

    arm: Arm

    def __call__(self, context: Context) -> KerasTrainer:
        """The trainer of the context's clinic."""
        site = _site(self.arm, context)
        return build_clinic_trainer(site, self.arm.plan, self.arm.state_of(site))


@dataclass(frozen=True)
class ClinicQualities:
    """How the clinic of a context's partition measures explanations, by Score-CAM."""

    arm: Arm

    def __call__(self, context: Context) -> ClinicExplanationQuality:
        """What measures at the context's clinic."""
        site = _site(self.arm, context)
        return build_explanation_quality(site, self.arm.plan, self.arm.state_of(site), score_cam)


def _site(arm: Arm, context: Context) -> Path:
    return arm.members[int(context.node_config["partition-id"])]


def train_and_test(arm: Arm) -> None:
    """Trains an arm from where it stopped, tests its last model once, and saves it.

    Raises:
        DermaFedError: the run cannot start or go on.
    """
    configure_backend(arm.plan.threads)
    with lock_folder(arm.folder):
        _train(arm)
        weights = load_state(arm.folder).weights
        if arm.model is not None:
            path, card = arm.model
            save_model(path, weights, card)
        if not (arm.folder / PREDICTIONS_FILE).exists():
            if arm.tune:
                _test_tuned(arm, weights)
            _test(arm, weights)  # last: an arm with predictions is done


def _train(arm: Arm) -> None:
    state = load_state(arm.folder) if has_state(arm.folder) else None
    explained = not arm.explain or (arm.folder / EXPLANATIONS_FILE).exists()
    if state is not None and state.round >= arm.plan.rounds and explained:
        return
    model = _first_model(arm)
    server = build_server_app(
        to_flat(model),
        len(arm.plan.model.classes),
        RoundRules(rounds=arm.plan.rounds, clinics=len(arm.members), quorum=len(arm.members), attempts=1),
        arm.folder,
        strategy=make_strategy(arm.strategy),
        settings=arm.plan.to_dict(),
        adapted=trainable_mask(model),
        resume=True,
        explain=arm.explain,
    )
    trainers = TrainerCache(ClinicTrainers(arm))
    client = build_client_app(trainers, ClinicQualities(arm))
    run = run_ray if arm.engine == "ray" else run_local
    try:
        run(server, client, [unquote(site.name) for site in arm.members])
    finally:
        trainers.clear()


def _first_model(arm: Arm) -> keras.Model:
    # Two arms start at a time, and Keras does not guard a download against another process.
    alone = lock_folder(arm.folder.parent, math.inf) if arm.weights == "imagenet" else nullcontext()
    with alone:
        return initial_classifier(arm.plan.model, arm.weights, seed=arm.plan.seed)


def _test_tuned(arm: Arm, weights: FloatVector) -> None:
    """Predicts every member's test images with the model it tuned for itself."""
    model, predictions = arm.plan.model, []
    for site in arm.members:
        images = load_labelled(read_clinic_split(site).splits.test, model, arm.plan.preprocess)
        own = tuned_model(site, arm.plan, arm.state_of(site), weights, arm.tune)
        predictions.append(predict(model, own, images))
    arm.tuned_predictions.parent.mkdir(exist_ok=True)
    save_predictions(arm.tuned_predictions, predictions)


def _test(arm: Arm, weights: FloatVector) -> None:
    """Predicts every site's test images, with the site's own batch normalisation if it has one."""
    plan = arm.plan
    predictions = []
    for site in arm.tests:
        images = load_labelled(read_clinic_split(site).splits.test, plan.model, plan.preprocess)
        # A baseline's only member judges every site.
        own = batch_norm_files(plan, arm.state_of(site if site in arm.members else arm.members[0]))
        predictions.append(predict(plan.model, weights, images, round=plan.rounds, memory=own))
    save_predictions(arm.folder / PREDICTIONS_FILE, predictions)
