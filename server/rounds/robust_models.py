"""Combine the clinics' updates of one round by a robust rule, after a closer look at each."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from flwr.app import RecordDict

from dermafed.server.robust.earlier_steps import EarlierSteps
from dermafed.server.robust.free_rider import free_ride
from dermafed.server.robust.rules import Combined, combine
from dermafed.server.robust.selection import lower_median
from dermafed.server.robust.sketch import Floats
from dermafed.server.robust.steps import Steps
from dermafed.server.rounds.clinic_round import ClinicRound
from dermafed.server.rounds.screening import Screen, Screened
from dermafed.server.rounds.trained_models import Trained, TrainedModels
from dermafed.shared.errors import FederationError
from dermafed.shared.model.parts import WEIGHTS
from dermafed.shared.protocol.robust_settings import RobustSettings, least_clinics

FAR = 2.0
"""Times the usual distance from the round's result, from which a coordinator is told."""


@dataclass
class RobustModels(TrainedModels):
    """The updates of one round, some of which may be hostile; see :class:`TrainedModels`.

    The rule bears as many hostile clinics as the plan says; where too few are left for that, less those whose
    update was refused or left out: hardly an honest clinic sends anything of that kind. A clinic that does
    not reply may be an honest one.

    Attributes:
        robust: the rule.
        number: the round's number.
    """

    robust: RobustSettings = field(default_factory=RobustSettings)
    number: int = 1
    _refused: dict[str, str] = field(default_factory=dict)
    _sketches: dict[str, Floats] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.robust.rule == "norm-bound":
            self.screen = Screen(self.screen.parts, 1.0)

    def accept(self, clinic: str, content: RecordDict) -> float:
        """Accept an update; why one is refused stays with its clinic."""
        try:
            return super().accept(clinic, content)
        except FederationError as error:
            self.refuse(clinic, error.what)
            raise

    def refuse(self, clinic: str, why: str) -> None:
        """Note that a clinic's update is none of an honest clinic."""
        self._refused[clinic] = why

    def compare(self) -> dict[str, str]:
        """Screen the updates against each other, and against those of earlier rounds."""
        super().compare()
        start, digest = self._earlier.sketch(self.start.astype(np.float64)), hashlib.sha256()
        moved = np.zeros(self.start.size, bool)
        for clinic, model in self._spool.items():
            step = model.astype(np.float64) - self.start
            digest.update(hashlib.sha256(model.tobytes()).digest())
            moved |= (step != 0) & (self.screen.parts == WEIGHTS)
            self._sketches[clinic] = self._earlier.sketch(step)
        # No clinic knows the others' updates, so none knows by which sketches it will be compared.
        self._seed = digest.digest()
        cosines = [one.cosine for one in self._screened.values() if not math.isnan(one.cosine)]
        usual = lower_median(np.array(cosines)) if cosines else math.nan
        for clinic, one in self._screened.items():
            one.left_out = (  # what says most comes first
                self._earlier.find(clinic, self._sketches[clinic], start)
                or free_ride(one.times_median[WEIGHTS], one.cosine, usual, int(moved.sum()))
                or one.left_out
                or self._too_long(one)
            )
        self._earlier.save(self.number, start, self._sketches)
        return {clinic: one.left_out for clinic, one in self._screened.items() if one.left_out}

    def _too_long(self, one: Screened) -> str:
        """Why a step of the weights is left out that is longer than the plan allows; empty: it is not.

        Shortened, it would still point where a hostile clinic wants, which no rule sees. Running statistics
        teach nothing, and an honest clinic's may be far from the others': they are shortened.
        """
        times = one.times_median[WEIGHTS]
        too_long = times > (self.rules.largest_step or math.inf)  # never, where it is NaN
        return f"its step of the weights is {times:.3g} times the median" if too_long else ""

    @property
    def caught(self) -> int:
        """How many clinics sent what no honest clinic sends."""
        return len(self._refused) + sum(bool(one.left_out) for one in self._screened.values())

    def result(self) -> Trained:
        """The combined model, and the mean loss."""
        kept = [name for name, one in self._screened.items() if not one.left_out]
        hostile = self._hostile_left(len(kept))
        combined = combine(self.robust.rule, hostile, self._steps(kept), self._seed)
        loss = math.fsum(self._losses[name] for name in kept) / len(kept)
        return Trained(self.start + combined.step, loss, self._parts_of(kept, combined))

    @cached_property
    def _earlier(self) -> EarlierSteps:
        return EarlierSteps.load(self.folder, self.start.size, self.number)

    def _hostile_left(self, kept: int) -> int:
        """How many of the clinics that are left may be hostile.

        All of the planned ones, if so many can be borne: an honest clinic, whose training diverged, may have
        been caught. Otherwise those that were caught are the hostile ones, if they are not more than planned.
        """
        planned = self.robust.hostile
        certain = planned - self.caught if self.caught <= planned else planned
        borne = [n for n in range(certain, planned + 1) if kept >= least_clinics(self.robust.rule, n)]
        if not borne:
            least = least_clinics(self.robust.rule, certain)
            raise FederationError(
                f"{self.robust.rule} with {certain} hostile needs {least} updates, and {kept} are left",
                where=f"round {self.number}",
                remedy="See in the server's log who was left out; suspend the hostile, then resume the run",
            )
        return borne[-1]

    def _steps(self, kept: list[str]) -> Steps:
        found = [self._screened[name] for name in kept]
        factors, norms = ([getattr(one, name) for one in found] for name in ("factors", "norms"))
        return Steps(
            self.start,
            lambda values: self._spool.blocks(kept, values),
            self.screen.parts,
            np.array(factors, np.float64),
            np.array(norms, np.float64),
        )

    def _parts_of(self, kept: list[str], combined: Combined) -> dict[str, ClinicRound]:
        """Each clinic's part in the round, with all that was found about it."""
        shares = dict(zip(kept, map(float, combined.shares), strict=True))
        found = self._clinics(shares)
        for clinic, distance in zip(kept, combined.distances, strict=True):
            if distance > FAR:
                far = f"its step is {distance:.2g} times as far from the round's result as most"
                note = "; ".join(filter(None, [found[clinic].note, far]))
                found[clinic] = replace(found[clinic], note=note)
        caught = {name: one.left_out for name, one in self._screened.items() if one.left_out}
        found |= {name: replace(found[name], note=why) for name, why in caught.items()}
        return found | {name: ClinicRound(name, note=why) for name, why in self._refused.items()}
