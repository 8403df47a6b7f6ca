"""A run's last model with a clinic's own last layer."""

from __future__ import annotations

from pathlib import Path

from dermafed.client.node.clinic_trainer import clinic_seed
from dermafed.shared.lesions.clinic_split import read_clinic_split
from dermafed.shared.protocol.plan import Plan
from dermafed.shared.training.clinic_head import ClinicHead
from dermafed.shared.training.data import load_labelled
from dermafed.shared.training.predict import loaded_classifier
from dermafed.shared.training.trainer import FloatVector


def own_model(folder: Path, plan: Plan, weights: FloatVector) -> FloatVector:
    """Fit a clinic's own last layer to its training images; see :mod:`dermafed.shared.training.own_layer`.

    Args:
        folder: the folder of the clinic's split.
        plan: the run's plan.
        weights: of the run's last model, float32 (P,).

    Returns:
        The model with that layer, float32 (P,). It does not leave the clinic.

    Raises:
        DatasetError: the folder has no clinic's split.
        ImageError: an image cannot be read any more.
    """
    split = read_clinic_split(folder)
    head = ClinicHead(
        load_labelled(split.splits.train, plan.model, plan.preprocess),
        plan.class_counts,
        0,
        lambda model, _: loaded_classifier(plan.model, model),
        artefacts=plan.recipe.artefacts,
        seed=clinic_seed(split, plan.seed),
    )
    return head.with_own_layer(weights, plan.rounds)
