"""The trainer of a clinic, from its site folder and a run's plan."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np

from dermafed.client.node.batch_norm import BatchNormFiles
from dermafed.shared.lesions.clinic_split import ClinicSplit, read_clinic_split
from dermafed.shared.metrics.fairness.reweighing import group_weights
from dermafed.shared.protocol.plan import Plan
from dermafed.shared.training.backend import configure_backend
from dermafed.shared.training.data import load_labelled
from dermafed.shared.training.keras_trainer import KerasTrainer


def site_trainer(folder: Path, plan: Plan, state: Path) -> KerasTrainer:
    """Builds the trainer of the clinic in a site folder.

    Args:
        folder: the site folder.
        plan: the run.
        state: where the clinic keeps what it does not share in this run.

    Raises:
        DatasetError: the folder is no site folder.
        ImageError: an image cannot be read any more.
    """
    configure_backend(plan.threads)
    site = read_clinic_split(folder)
    train = load_labelled(site.splits.train, plan.model, plan.preprocess)
    return KerasTrainer(
        plan.model,
        plan.recipe,
        train=train,
        validation=load_labelled(site.splits.validation, plan.model, plan.preprocess),
        rounds=plan.rounds,
        class_counts=plan.class_counts,
        seed=clinic_seed(site, plan.seed),
        memory=batch_norm_files(plan, state),
        weights=group_weights(site.splits.train, train.labels, plan.recipe.group_balance),
    )


def batch_norm_files(plan: Plan, state: Path) -> BatchNormFiles | None:
    """Where the clinic keeps its own batch normalisation, if the plan lets it (FedBN)."""
    return BatchNormFiles(state) if plan.model.batch_norm == "local" else None


def clinic_seed(site: ClinicSplit, seed: int) -> int:
    """A seed of the clinic's own, by its name: the same alone as in a federation."""
    return int(np.random.SeedSequence((seed, zlib.crc32(site.name.encode()))).generate_state(1)[0])
