"""A clinic's part in a run with differential privacy: its noise, its account, the counts it has released."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dermafed.client.node.home import Home, read_settings
from dermafed.client.node.ledger import Budget, Ledger
from dermafed.client.node.privacy_account import Account, RunAccount
from dermafed.shared.errors import FederationError, StorageError
from dermafed.shared.lesions.clinic_split import ClinicSplit
from dermafed.shared.lesions.patients import patient_groups
from dermafed.shared.privacy.dp_settings import DifferentialPrivacy
from dermafed.shared.privacy.noisy_sum import noisy_sum, on_grid, share_of, summand
from dermafed.shared.privacy.planned_noise import PlannedNoise
from dermafed.shared.privacy.secret_random import SecretRandom
from dermafed.shared.protocol.offer import Offer
from dermafed.shared.protocol.private_plan import PrivatePlan, noise_of
from dermafed.shared.storage.atomic_files import make_private_folder, write_private


@dataclass(frozen=True)
class PrivateRun:
    """A clinic's part in a run with differential privacy.

    Attributes:
        dp: what the plan asks for.
        noise: of the run's releases.
        account: where they are debited.
        folder: the clinic's files for the run.
    """

    dp: DifferentialPrivacy
    noise: PlannedNoise
    account: Account
    folder: Path

    @classmethod
    def of(cls, plan: PrivatePlan, account: Account, folder: Path) -> PrivateRun:
        """The part of a clinic in a run of this plan.

        Raises:
            FederationError: the plan has no differential privacy.
        """
        if plan.dp is None:
            raise FederationError("The plan has no differential privacy")
        return cls(plan.dp, noise_of(plan.dp, plan.recipe, plan.rounds), account, folder)

    def released_counts(self, split: ClinicSplit, classes: tuple[str, ...]) -> NDArray[np.int64]:
        """Training patients of each class with noise, 1 or more: int64 (C,).

        A patient with several classes is shared among them. Drawn once in a run: what comes later, such as
        the prior of the classes, may depend on these numbers and on no others.

        Raises:
            BudgetSpent: there is not enough left for them.
            StorageError: they cannot be read or written.
        """
        path = self.folder / "released-counts.json"
        if not path.exists():
            self.account.debit("counts", 0, self.noise.counts)
            counts = _noisy_counts(split, classes, self.noise.counts.noise)
            make_private_folder(self.folder)
            write_private(path, json.dumps(counts.tolist()).encode())
        try:
            return np.array(json.loads(path.read_text("ascii")), np.int64)
        except (OSError, ValueError) as error:
            raise StorageError(
                "The counts that were released cannot be read",
                where=path,
                remedy="Restore the file from your backup; without it, this run cannot go on here",
            ) from error

    def summed_counts(
        self, split: ClinicSplit, classes: tuple[str, ...], *, sharers: int, grid: int
    ) -> NDArray[np.int64]:
        """The same for a secure sum, with this clinic's part of the noise: int64 (C,), in steps of 1 / grid.

        Args:
            split: the clinic's images.
            classes: of the model, C of them.
            sharers: how many clinics' parts of the noise the sum has for certain.
            grid: steps of the grid in one patient.

        Raises:
            BudgetSpent: there is not enough left for them.
        """
        self.account.debit("counts", 0, self.noise.counts)
        deviation = share_of(self.noise.counts.noise, sharers, grid)
        steps = (on_grid(share, 1.0, grid) for share in _shares(split, classes))
        return summand(steps, len(classes), deviation=deviation, random=SecretRandom.fresh())


def private_run(home: Home, offer: Offer, folder: Path) -> PrivateRun:
    """The part of a clinic in a run with differential privacy, whose releases its ledger counts.

    Args:
        home: the clinic's folder.
        offer: what it approved.
        folder: its files for the run.

    Raises:
        FederationError: the offer has no differential privacy.
    """
    budget = Budget(0, 1) if offer.dp is None else Budget(offer.dp.epsilon, offer.dp.delta)
    account = RunAccount(
        Ledger(home.ledger), offer.hash, offer.name, budget, lambda: read_settings(home).privacy.budget
    )
    return PrivateRun.of(offer, account, folder)


def _noisy_counts(split: ClinicSplit, classes: tuple[str, ...], noise: float) -> NDArray[np.int64]:
    steps = (on_grid(share, 1.0) for share in _shares(split, classes))
    noisy = noisy_sum(steps, len(classes), bound=1.0, noise=noise, random=SecretRandom.fresh())
    return np.maximum(np.rint(noisy), 1).astype(np.int64)


def _shares(split: ClinicSplit, classes: tuple[str, ...]) -> Iterator[NDArray[np.float64]]:
    """The share of each class in a training patient's images, (C,), whose norm is at most their sum, 1."""
    records = split.splits.train
    index = np.array([classes.index(record.label) for record in records])
    for images in patient_groups(records):
        yield np.bincount(index[images], minlength=len(classes)) / len(images)
