"""The trainer of a clinic, from its site folder and a run's plan."""

from __future__ import annotations

import io
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dermafed.shared.lesions.clinic_split import ClinicSplit, read_clinic_split
from dermafed.shared.metrics.fairness.groups import group_weights
from dermafed.shared.protocol.plan import Plan
from dermafed.shared.storage.atomic_files import write_atomically
from dermafed.shared.training.backend import configure_backend
from dermafed.shared.training.data import load_labelled
from dermafed.shared.training.keras_trainer import KerasTrainer


def build_clinic_trainer(folder: Path, plan: Plan, state: Path) -> KerasTrainer:
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


KEPT = 3  # files; a resumed run may go back by a round or two


@dataclass(frozen=True)
class BatchNormFiles:
    """One file a round, so that a round repeated after a crash starts from what it started from before.

    Attributes:
        folder: where the files are.
    """

    folder: Path

    def load(self, before_round: int) -> NDArray[np.float32] | None:
        """The values of the last round before this one that the clinic took part in, or ``None``."""
        earlier = [number for number in self._rounds() if number < before_round]
        return np.load(self._path(max(earlier))) if earlier else None

    def save(self, values: NDArray[np.float32], *, round: int) -> None:
        """Keeps the values that a round ended with, and drops those of long before."""
        self.folder.mkdir(parents=True, exist_ok=True)
        content = io.BytesIO()
        np.save(content, values)
        write_atomically(self._path(round), content.getvalue())
        # The last few that it took part in, however long ago: a repeated round needs the one before it.
        for number in sorted(n for n in self._rounds() if n <= round)[:-KEPT]:
            self._path(number).unlink()

    def _rounds(self) -> list[int]:
        return [int(path.stem.removeprefix("round-")) for path in self.folder.glob("round-*.npy")]

    def _path(self, round: int) -> Path:
        return self.folder / f"round-{round}.npy"
