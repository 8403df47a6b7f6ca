"""Aggregate the clinics' updates of one round: check each, compare them, then average."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from flwr.app import RecordDict

from dermafed.server.rounds.aggregate import StreamingMean
from dermafed.server.rounds.clinic_round import ClinicRound
from dermafed.server.rounds.held_classes import HeldClasses
from dermafed.server.rounds.round_rules import RoundRules
from dermafed.server.rounds.screening import Screen, Screened
from dermafed.server.rounds.shares import Member, capped_weights, shares
from dermafed.server.rounds.strategies import Means
from dermafed.server.rounds.update_spool import UpdateSpool
from dermafed.shared.errors import FederationError
from dermafed.shared.protocol.messages import decode_update
from dermafed.shared.training.trainer import FloatVector

log = logging.getLogger("dermafed.server")


@dataclass(frozen=True)
class Trained:
    """What a round's training gave.

    Attributes:
        mean: the mean model, float64 (P,).
        loss: the mean training loss, with the same weights; NaN if a clinic reported none.
        clinics: each clinic's part in it, by name.
    """

    mean: Means
    loss: float
    clinics: dict[str, ClinicRound]


@dataclass
class TrainedModels:
    """The updates of one round.

    Attributes:
        start: the model that the clinics started from, float32 (P,).
        rules: the cap of a share, the largest plausible number of images.
        screen: how the updates are screened.
        members: the clinics by the agreement, whose weights it gives; ``None``: the weights are those that
            the clinics claim, for a simulation, whose clinics are this program itself.
        folder: where the updates wait for each other.
        held: which clinics have which class, if a class is averaged over those only; ``None``: over all.
    """

    start: FloatVector
    rules: RoundRules
    screen: Screen
    members: Mapping[str, Member] | None
    folder: Path
    held: HeldClasses | None = None
    _weights: dict[str, int] = field(default_factory=dict)
    _losses: dict[str, float] = field(default_factory=dict)
    _norms: dict[str, tuple[float, ...]] = field(default_factory=dict)
    _screened: dict[str, Screened] = field(default_factory=dict)

    def __enter__(self) -> Self:
        self._spool = UpdateSpool(self.folder, self.start.size)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._spool.close()

    def accept(self, clinic: str, content: RecordDict) -> float:
        """Accept an update; see :class:`dermafed.server.rounds.collector.Collector`."""
        update, seconds = decode_update(content, self.start.size)
        weight = self._weight(clinic, update.weight)
        self.screen.check(update.weights)
        self._spool.add(clinic, update.weights)
        self._norms[clinic] = self.screen.norms(update.weights, self.start)  # while others still train
        self._weights[clinic] = weight
        self._losses[clinic] = update.metrics.get("loss", math.nan)
        return seconds

    def compare(self) -> dict[str, str]:
        """Screen the updates against each other."""
        self._screened = self.screen.screen(self.start, self._spool, self._norms)
        for clinic, one in self._screened.items():
            if one.note:
                log.warning("%s: %s", clinic, one.note)
        return {clinic: one.left_out for clinic, one in self._screened.items() if one.left_out}

    def result(self) -> Trained:
        """The mean model and loss."""
        kept = {name: self._weights[name] for name, one in self._screened.items() if not one.left_out}
        weights = capped_weights(kept, self.rules.largest_share)
        mean = StreamingMean(self.start.size)
        columns = self.held.columns(kept, self.rules.largest_share) if self.held else []
        for clinic, model in self._spool.items():
            if clinic in weights:
                shortened = self.screen.shortened(model, self.start, self._screened[clinic])
                mean.add(shortened, weights[clinic])
                for column in columns:
                    column.add(clinic, shortened)
        # fsum is exact, so the order of arrival does not matter; the model's mean is exact in practice.
        loss = math.fsum(weights[name] * self._losses[name] for name in weights) / mean.weight
        result = mean.result()
        for column in columns:
            column.write(result, self.start)
        return Trained(result, loss, self._clinics(shares(weights)))

    def _clinics(self, share: Mapping[str, float]) -> dict[str, ClinicRound]:
        return {
            name: ClinicRound(
                name,
                share=share.get(name, 0.0),
                norm=one.norms[0],
                times_median=one.times_median[0],
                cosine=one.cosine,
                train_loss=self._losses[name],
                note=one.note,
            )
            for name, one in self._screened.items()
        }

    def _weight(self, clinic: str, claimed: int) -> int:
        """The clinic's weight by the agreement; what it claims must only be plausible."""
        if not 1 <= claimed <= self.rules.most_images:
            most = self.rules.most_images
            raise FederationError(f"its update has the weight of {claimed} images, not 1 to {most}")
        if self.members is None:
            return claimed
        if clinic not in self.members:
            raise FederationError("it has not joined the run")
        weight = self.members[clinic].weight
        if claimed != weight:
            log.warning("%s claims the weight %d; by the agreement it has %d", clinic, claimed, weight)
        return weight
