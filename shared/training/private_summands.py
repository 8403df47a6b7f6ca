"""A clinic's part of secure sums that are steps of training with differential privacy, and evaluations."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dermafed.shared.privacy.accountant import Mechanism
from dermafed.shared.privacy.noisy_sum import share_of, summand
from dermafed.shared.privacy.secret_random import SecretRandom
from dermafed.shared.training.private_head import cells_of_patients
from dermafed.shared.training.private_trainer import PrivateTrainer
from dermafed.shared.training.trainer import FloatVector


class PrivateSummands(PrivateTrainer):
    """Gives whole numbers, its part of the noise in them, that are safe to release in a sum only.

    A sum has the noise of all that are in it. What is debited is the noise of so few of them that no sum
    has less, whoever drops out and whatever colluders tell of theirs.
    """

    def summed_gradient(
        self, weights: FloatVector, round: int, *, sharers: int, grid: int
    ) -> NDArray[np.int64]:
        """The sum of a sample's clipped gradients of the last layer: debited first, then drawn.

        Args:
            weights: the global model, float32 (P,).
            round: from 1.
            sharers: how many clinics' parts of the noise every sum has for certain.
            grid: steps of the grid in the largest norm of a patient's gradient.

        Returns:
            int64 ((K + 1) * C,), in steps of clip / grid.

        Raises:
            BudgetSpent: there is not enough left.
        """
        noise, random = self.noise.training, SecretRandom.fresh()
        self.debits.debit("training", round, Mechanism(noise.noise, noise.rate, 1))
        images, layer = self.start(weights)
        sampled = images.sampled(layer, rate=noise.rate, clip=self.dp.clip, random=random, grid=grid)
        deviation = share_of(noise.noise, sharers, grid)
        return summand(sampled, layer.size, deviation=deviation, random=random)

    def summed_confusion(
        self, weights: FloatVector, round: int, *, sharers: int, grid: int
    ) -> NDArray[np.int64]:
        """The validation patients by true and predicted class: debited first, then drawn.

        Args:
            weights: as above.
            round: as above.
            sharers: as above.
            grid: steps of the grid in one patient.

        Returns:
            int64 (C * C,), in steps of 1 / grid.

        Raises:
            BudgetSpent: there is not enough left.
        """
        noise, validation = self.noise.validation, self.validation
        self.debits.debit("validation", round, Mechanism(noise.noise, noise.rate, 1))
        classes = len(self.counts)
        seen = (validation.images.labels, self.predicted(weights), validation.patients, classes, grid)
        return summand(
            cells_of_patients(*seen),
            classes**2,
            deviation=share_of(noise.noise, sharers, grid),
            random=SecretRandom.fresh(),
        )
