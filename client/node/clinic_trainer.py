"""The trainer of a clinic, from its split and a run's plan, with its own batch normalisation (FedBN)."""

from __future__ import annotations

import io
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dermafed.client.node.clinic_masks import lesion_shares
from dermafed.client.node.private_run import PrivateRun
from dermafed.shared.lesions.clinic_split import ClinicSplit, read_clinic_split
from dermafed.shared.lesions.patients import patient_groups
from dermafed.shared.lesions.record import LesionRecord
from dermafed.shared.metrics.fairness.groups import group_weights
from dermafed.shared.protocol.plan import Plan
from dermafed.shared.storage.atomic_files import write_atomically
from dermafed.shared.training.backend import configure_backend
from dermafed.shared.training.data import load_labelled
from dermafed.shared.training.keras_trainer import KerasTrainer
from dermafed.shared.training.predict import SavedFeatures
from dermafed.shared.training.private_summands import PrivateSummands
from dermafed.shared.training.private_trainer import PatientData, PrivateTrainer

SAVED_ROUNDS = 3  # a resumed run may go back by a round or two


def build_clinic_trainer(folder: Path, plan: Plan, state: Path, seed: int | None = None) -> KerasTrainer:
    """Build the trainer of the clinic in a split folder.

    Args:
        folder: the folder of the clinic's split.
        plan: the run's plan.
        state: folder for what the clinic does not share in this run.
        seed: seed of its random draws; by default, the plan's and the clinic's name give it.

    Raises:
        DatasetError: the folder has no clinic's split.
        ImageError: an image cannot be read any more.
    """
    configure_backend(plan.threads)
    split = read_clinic_split(folder)
    train = load_labelled(split.splits.train, plan.model, plan.preprocess)
    if plan.recipe.guidance:
        train = replace(train, lesions=lesion_shares(split.splits.train, plan.preprocess))
    return KerasTrainer(
        plan.model,
        plan.recipe,
        train=train,
        validation=load_labelled(split.splits.validation, plan.model, plan.preprocess),
        rounds=plan.rounds,
        class_counts=plan.class_counts,
        seed=clinic_seed(split, plan.seed) if seed is None else seed,
        memory=batch_norm_files(plan, state),
        weights=group_weights(split.splits.train, train.labels, plan.recipe.group_balance),
    )


def build_private_trainer(
    folder: Path, plan: Plan, private: PrivateRun, saved: SavedFeatures | None = None
) -> PrivateTrainer:
    """Build the trainer of the clinic in a split folder, for a run with differential privacy.

    Args:
        folder: the folder of the clinic's split.
        plan: the run's plan.
        private: the clinic's part in it.
        saved: where a simulation saves features.

    Raises:
        BudgetSpent: the counts were not released yet, and there is not enough left for them.
        DatasetError: the folder has no clinic's split.
        ImageError: an image cannot be read any more.
    """
    configure_backend(plan.threads)
    split, everywhere = read_clinic_split(folder), np.array(plan.class_counts, np.int64)
    # Within sums nobody knows a clinic's own counts: what depends on them depends on those of all clinics.
    kind = PrivateSummands if private.dp.in_sums else PrivateTrainer
    return kind(
        plan.model,
        plan.recipe,
        private.dp,
        private.noise,
        private.account,
        train=_patient_data(split.splits.train, plan, saved),
        validation=_patient_data(split.splits.validation, plan, saved),
        rounds=plan.rounds,
        counts=everywhere if private.dp.in_sums else private.released_counts(split, plan.model.classes),
        class_counts=plan.class_counts,
    )


def _patient_data(records: Sequence[LesionRecord], plan: Plan, saved: SavedFeatures | None) -> PatientData:
    images = load_labelled(records, plan.model, plan.preprocess)
    return PatientData(images, [np.array(one, np.int64) for one in patient_groups(records)], saved)


def batch_norm_files(plan: Plan, state: Path) -> BatchNormFiles | None:
    """The files of the clinic's own batch normalisation, if the plan asks for it (FedBN)."""
    return BatchNormFiles(state) if plan.model.batch_norm == "local" else None


def clinic_seed(split: ClinicSplit, seed: int) -> int:
    """The clinic's own seed, by its name: the same alone as in a federation."""
    return int(np.random.SeedSequence((seed, zlib.crc32(split.name.encode()))).generate_state(1)[0])


@dataclass(frozen=True)
class BatchNormFiles:
    """The batch normalisation that a clinic does not share, saved after each round in a file of its own.

    So a round that is repeated after a crash starts from the same values again.

    Attributes:
        folder: the files' folder.
    """

    folder: Path

    def load(self, before_round: int) -> NDArray[np.float32] | None:
        """The values of the last round before this one that the clinic took part in, or ``None``."""
        earlier = [number for number in self._rounds() if number < before_round]
        return np.load(self._path(max(earlier))) if earlier else None

    def save(self, values: NDArray[np.float32], *, round: int) -> None:
        """Save the values at the end of a round, and remove those of long before."""
        self.folder.mkdir(parents=True, exist_ok=True)
        content = io.BytesIO()
        np.save(content, values)
        write_atomically(self._path(round), content.getvalue())
        # The last few that it took part in, however long ago: a repeated round needs the one before it.
        for number in sorted(n for n in self._rounds() if n <= round)[:-SAVED_ROUNDS]:
            self._path(number).unlink()

    def _rounds(self) -> list[int]:
        return [int(path.stem.removeprefix("round-")) for path in self.folder.glob("round-*.npy")]

    def _path(self, round: int) -> Path:
        return self.folder / f"round-{round}.npy"
