"""Count the training images of a plan with secure sums: by one sum, once, whatever its run goes through."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from flwr.serverapp import Grid

from dermafed.server.record.record_database import Record
from dermafed.server.record.runs_table import Run, save_class_counts
from dermafed.server.rounds.opened_sums import Asked
from dermafed.server.rounds.secure_sums import SecureSums
from dermafed.server.rounds.sum_attempts import SumLostError
from dermafed.shared.errors import FederationError
from dermafed.shared.protocol.summed import NO_MODEL

log = logging.getLogger("dermafed.server")


@dataclass(frozen=True)
class CountImages:
    """Counts the training images of each class over the clinics that join a run first.

    Attributes:
        grid: Flower's connection to the clinics.
        run: the run.
        record: where the counts are saved as soon as they are known: clinics do not count twice.
        sums: the secure sums, on the terms of a plan whose images are not counted yet.
    """

    grid: Grid
    run: Run
    record: Record
    sums: SecureSums

    def __call__(self, joined: Mapping[int, str]) -> tuple[int, ...]:
        """The counts (C,): those of before, if the run has been counted.

        Raises:
            FederationError: the clinics cannot be counted, or can never be.
        """
        if self.run.class_counts is not None:
            return self.run.class_counts
        try:
            opened = self.sums.open(self.grid, Asked("counts", 0, NO_MODEL))
        except SumLostError as error:
            raise FederationError(
                error.what, where=error.where, remedy="Ask for the run again, under another name"
            ) from error
        counts = tuple(int(count) for count in np.rint(opened.sums["training"]))
        if self.sums.summing.has_noise:
            counts = tuple(max(count, 1) for count in counts)  # below that, it is by the noise
        if min(counts) < 0:
            raise FederationError(
                "The sum of the clinics' class counts is below 0",
                where="secure sum",
                remedy="A clinic lies about its images: find out which, and ask for the run again without it",
            )
        for why in opened.participation.left_out.items():
            log.warning("%s is not counted: %s", *why)
        save_class_counts(self.record, self.run.number, counts)
        return counts
