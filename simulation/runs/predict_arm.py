"""Predicts the validation and test images with the models of a trained arm, and saves the predictions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dermafed.client.node.clinic_trainer import batch_norm_files, build_clinic_trainer
from dermafed.client.node.own_model import own_model
from dermafed.shared.lesions.clinic_split import read_clinic_split
from dermafed.shared.lesions.record import LesionRecord
from dermafed.shared.protocol.plan import Plan
from dermafed.shared.training.data import load_labelled
from dermafed.shared.training.frozen_views import saved_features
from dermafed.shared.training.predict import BatchNormMemory, FrozenFeatures, loaded_classifier, predict
from dermafed.shared.training.trainer import FloatVector
from dermafed.simulation.runs.arms import (
    NO_PRIOR_FILE,
    NO_PRIOR_VALIDATION_FILE,
    OFFSETS_FILE,
    OFFSETS_VALIDATION_FILE,
    PREDICTIONS_FILE,
    VALIDATION_FILE,
    Arm,
    save_predictions,
)
from dermafed.simulation.runs.offset_predictions import (
    ClinicPredictions,
    OffsetPredictions,
    predict_with_offsets,
)


def predict_tuned(arm: Arm, weights: FloatVector) -> None:
    """Predicts every member's test images with its own tuned model, and saves the predictions."""
    own = [_predictions(arm.plan, clinic, _tuned(arm, clinic, weights)) for clinic in arm.members]
    arm.tuned_predictions.parent.mkdir(exist_ok=True)
    # Models that were trained apart fit alone; those that differ in the last layer fit as in a federation.
    fitted = [predict_with_offsets([each])[0] for each in own] if arm.tune else predict_with_offsets(own)
    _save(arm.tuned_predictions.parent, own, fitted)


def _tuned(arm: Arm, clinic: Path, weights: FloatVector) -> FloatVector:
    if arm.tune:
        weights = tune(clinic, arm.plan, arm.state_folder(clinic), weights, arm.tune)
    return own_model(clinic, arm.plan, weights) if arm.own_layer else weights


def predict_tests(arm: Arm, weights: FloatVector) -> None:
    """Predicts every clinic's test images, with the clinic's own batch normalisation if it has one."""
    # A clinic alone fits the offsets by its own images; all images pooled are those of all clinics.
    fitting = set(arm.members) & set(arm.tests) or set(arm.tests)
    predictions = []
    for clinic in arm.tests:
        # A baseline's only member predicts for every clinic.
        member = clinic if clinic in arm.members else arm.members[0]
        own = batch_norm_files(arm.plan, arm.state_folder(member))
        found = _predictions(arm.plan, clinic, weights, round=arm.plan.rounds, memory=own)
        predictions.append(replace(found, member=clinic in fitting))
    _save(arm.folder, predictions, predict_with_offsets(predictions))


def _save(
    folder: Path, plain: Sequence[ClinicPredictions], with_offsets: Sequence[OffsetPredictions]
) -> None:
    files = {
        VALIDATION_FILE: [each.validation for each in plain],
        OFFSETS_FILE: [each.test for each in with_offsets],
        OFFSETS_VALIDATION_FILE: [each.validation for each in with_offsets],
        NO_PRIOR_FILE: [each.test_without_prior for each in with_offsets],
        NO_PRIOR_VALIDATION_FILE: [each.validation_without_prior for each in with_offsets],
        PREDICTIONS_FILE: [each.test for each in plain],  # last: who has it has all
    }
    for name, predictions in files.items():
        save_predictions(folder / name, predictions)


def _predictions(
    plan: Plan,
    clinic: Path,
    weights: FloatVector,
    *,
    round: int = 0,
    memory: BatchNormMemory | None = None,
) -> ClinicPredictions:
    """A model's predictions for a clinic's test and validation images."""
    splits = read_clinic_split(clinic).splits

    def predicted(records: Sequence[LesionRecord]) -> NDArray[np.float32]:
        images = load_labelled(records, plan.model, plan.preprocess)
        if not plan.recipe.views and plan.dp is None:
            return predict(plan.model, weights, images, round=round, memory=memory)
        model = plan.model
        saved = FrozenFeatures(model.frozen_blocks, images, saved_features, model.views_at_test)
        return saved.predict(loaded_classifier(plan.model, weights, round=round, memory=memory))

    classes = plan.model.classes
    labels, training = (
        np.array([classes.index(record.label) for record in side], np.int64)
        for side in (splits.validation, splits.train)
    )
    counts = np.bincount(np.concatenate([labels, training]), minlength=len(classes))
    return ClinicPredictions(predicted(splits.validation), labels, counts, predicted(splits.test))


def tune(clinic: Path, plan: Plan, state: Path, weights: FloatVector, passes: float) -> FloatVector:
    """Trains a clinic's own model from the federation's final one: one more round, on its images alone.

    The simplest way to personal models (Yu, Bagdasaryan and Shmatikov 2020, arXiv:2002.04758). The learning
    rates are those of the recipe.

    Args:
        clinic: the clinic's split folder.
        plan: the federation's plan.
        state: the folder of the clinic's private state.
        weights: the federation's final weights, float32 (P,).
        passes: passes over the clinic's training images.
    """
    alone = replace(plan, rounds=1, recipe=replace(plan.recipe, epochs=passes, steps=None))
    return build_clinic_trainer(clinic, alone, state).train(weights, 1, {}).weights
