"""Trains and tests one arm, in a process of its own."""

from __future__ import annotations

import math
from contextlib import nullcontext
from urllib.parse import unquote

import keras

from dermafed.client.node.clinic_data import count_training_images
from dermafed.client.node.clinic_sums import ClinicSums
from dermafed.client.node.trainer_cache import TrainerCache
from dermafed.server.coordinator.run_plan import Rules
from dermafed.server.rounds.after_run import AfterRun
from dermafed.server.rounds.checkpoint import has_state, load_state
from dermafed.server.rounds.coding import Coding
from dermafed.server.rounds.evaluations import melanoma_index
from dermafed.server.rounds.held_classes import HeldClasses
from dermafed.server.rounds.planned_strategy import planned_strategy
from dermafed.server.rounds.private_steps import PrivateSteps
from dermafed.server.rounds.refit_round import Refitting
from dermafed.server.rounds.round_rules import RoundRules
from dermafed.server.rounds.run_audit import MODEL_AUDIT_FILE
from dermafed.server.rounds.run_explanations import EXPLANATIONS_FILE
from dermafed.server.rounds.run_finder import LESION_FINDER_FILE
from dermafed.server.rounds.server_app import build_server_app
from dermafed.server.rounds.server_defences import ServerDefences
from dermafed.shared.lesions.clinic_split import read_clinic_split
from dermafed.shared.model.classifier import last_layer_inputs, moved_mask, parts_of, to_flat, trainable_mask
from dermafed.shared.model.initial_weights import initial_classifier
from dermafed.shared.model.model_file import save_model
from dermafed.shared.secure_sum.thresholds import MOST_ATTEMPTS, least_cohort
from dermafed.shared.storage.lock import lock_folder
from dermafed.shared.training.backend import configure_backend
from dermafed.simulation.engines.local import run_local
from dermafed.simulation.engines.ray import run_ray
from dermafed.simulation.runs.arm_clinics import ClinicTrainers, clinics_app
from dermafed.simulation.runs.arm_sums import ArmSums
from dermafed.simulation.runs.arms import PREDICTIONS_FILE, Arm
from dermafed.simulation.runs.backdoor import measure_backdoor
from dermafed.simulation.runs.found_lesions import save_and_test_finder
from dermafed.simulation.runs.predict_arm import predict_tests, predict_tuned


def train_and_test(arm: Arm) -> None:
    """Trains an arm from its last round on, tests its final model once, and saves it.

    Raises:
        DermaFedError: the run cannot start or continue.
    """
    configure_backend(arm.plan.threads)
    with lock_folder(arm.folder):
        _train(arm)
        weights = load_state(arm.folder).weights
        if arm.model is not None:
            path, info = arm.model
            save_model(path, weights, info)
        if not (arm.folder / PREDICTIONS_FILE).exists():
            if arm.tuned:
                predict_tuned(arm, weights)
            if arm.lesion_finder:
                save_and_test_finder(arm, weights)
            if arm.attack is not None and arm.attack.has_patch:
                measure_backdoor(arm, weights)
            predict_tests(arm, weights)  # last: an arm with predictions is done


def _train(arm: Arm) -> None:
    state = load_state(arm.folder) if has_state(arm.folder) else None
    explained = not arm.explain or (arm.folder / EXPLANATIONS_FILE).exists()
    found = not arm.lesion_finder or (arm.folder / LESION_FINDER_FILE).exists()
    audited = not arm.audit_model or (arm.folder / MODEL_AUDIT_FILE).exists()
    refit = Refitting.of(arm.refit, arm.plan.recipe.ridge)
    rounds = arm.plan.rounds + (refit is not None)
    if state is not None and state.round >= rounds and explained and found and audited:
        return
    model = _first_model(arm)
    sums = ArmSums.of(arm) if arm.privacy.is_secure else None
    server = build_server_app(
        to_flat(model),
        len(arm.plan.model.classes),
        _rules(arm),
        arm.folder,
        strategy=planned_strategy(arm.strategy, arm.plan.recipe),
        settings=arm.plan.to_dict(),
        adapted=trainable_mask(model),
        parts=parts_of(model),
        held=_held_classes(arm, model),
        resume=True,
        melanoma=melanoma_index(arm.plan.model.classes),
        after=AfterRun(
            refit=refit,
            lesion_features=arm.plan.model.features == "lesion",
            explain=arm.explain,
            lesion_finder=arm.lesion_finder,
            audit_model=arm.audit_model,
        ),
        coding=Coding.of(
            moved_mask(model), trainable_mask(model), arm.bits, arm.plan, sums.summing if sums else None
        ),
        defences=ServerDefences(
            robust=arm.robust,
            summing=sums.summing if sums else None,
            steps=PrivateSteps.of(arm.plan, last_layer_inputs(model)),
            scores=arm.plan.dp is None,
        ),
    )
    trainers = TrainerCache(ClinicTrainers(arm))
    client = clinics_app(arm, trainers, ClinicSums(sums.summand) if sums else None)
    members = [unquote(clinic.name) for clinic in arm.members]
    try:
        if arm.engine == "ray":
            run_ray(server, client, members, address=arm.address, folder=arm.folder)
        else:
            run_local(server, client, members, arm.folder)
    finally:
        trainers.clear()


def _held_classes(arm: Arm, model: keras.Model) -> HeldClasses | None:
    if not arm.plan.recipe.mask_absent:
        return None
    members = {unquote(clinic.name): read_clinic_split(clinic) for clinic in arm.members}
    counts = {name: count_training_images(own, arm.plan.model.classes) for name, own in members.items()}
    return HeldClasses.of({name: own.tolist() for name, own in counts.items()}, last_layer_inputs(model))


def _rules(arm: Arm) -> RoundRules:
    """The clinics are this program: no share is capped and no step shortened, but all is measured.

    Where a rule bears hostile clinics, the rules are those of a plan without a word about them.
    """
    members, groups = len(arm.members), arm.robust.groups(arm.privacy)
    if groups > 1:
        needed = least_cohort(members, arm.privacy.colluders, groups)
        return RoundRules(arm.plan.rounds, members, quorum=needed)
    if arm.robust.active:
        robust, shares = arm.robust, Rules()
        robust.check_clinics(members)
        return RoundRules(
            arm.plan.rounds,
            members,
            quorum=robust.least_clinics,
            attempts=1,
            largest_share=shares.largest_share,
            largest_step=shares.largest_step,
        )
    return RoundRules(
        arm.plan.rounds,
        members,
        quorum=members if arm.attack is None else members - 1,  # what a hostile clinic sends may be refused
        attempts=MOST_ATTEMPTS if arm.bits else 1,  # a change that does not fit travels in full the next time
        largest_share=1,
        largest_step=None,
    )


def _first_model(arm: Arm) -> keras.Model:
    # Two arms start at a time, and Keras does not protect a download from another process.
    alone = lock_folder(arm.folder.parent, math.inf) if arm.weights == "imagenet" else nullcontext()
    with alone:
        return initial_classifier(arm.plan.model, arm.weights, seed=arm.plan.seed)
