"""Fit the last layer by logistic regression with the clinics: they send slopes at a few points."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import add

from flwr.app import RecordDict
from flwr.serverapp import Grid

from dermafed.server.rounds.exchange import Assignment
from dermafed.server.rounds.head_round import total_of
from dermafed.server.rounds.queries import collect
from dermafed.server.rounds.round_rules import RoundRules
from dermafed.shared.errors import FederationError
from dermafed.shared.protocol.messages import SLOPES_TRAIN
from dermafed.shared.protocol.slope_messages import decode_slope_sums, encode_slopes_request
from dermafed.shared.training.exact_head.head_sums import HeadSums
from dermafed.shared.training.exact_head.logistic import logistic_head
from dermafed.shared.training.exact_head.ridge import LinearHead
from dermafed.shared.training.exact_head.slope_sums import SlopeSums
from dermafed.shared.training.trainer import FloatVector


class _FellAwayError(Exception):
    """Some of the clinics did not answer; its argument has those that did."""


@dataclass(frozen=True)
class SlopeFit:
    """A :data:`dermafed.server.rounds.head_round.Fit` by slopes.

    A clinic that falls away is left out of all points: the fit starts anew with the others.

    Attributes:
        grid: Flower's connection to the clinics.
        weights: the model whose features are used, float32 (P,).
        round: the round's number.
        rules: quorum and deadline.
        ridge: the penalty.
    """

    grid: Grid
    weights: FloatVector
    round: int
    rules: RoundRules
    ridge: float

    def __call__(
        self, sums: Mapping[str, HeadSums], capped: Mapping[str, HeadSums]
    ) -> tuple[LinearHead, Collection[str]]:
        """The head, and the clinics that it is of.

        Raises:
            FederationError: fewer clinics than a quorum are left.
        """
        names: Collection[str] = set(sums)
        while len(names) >= self.rules.needed:
            total = total_of(capped, names)
            try:
                return logistic_head(total, _Ask(self, names, sums, capped), self.ridge).head, names
            except _FellAwayError as error:
                names = error.args[0]
        raise FederationError(
            f"The last layer has {len(names)} of the {self.rules.needed} clinics that it needs",
            remedy="Fix the clinics that the log names, then resume the run",
        )


@dataclass(frozen=True)
class _Ask:
    """Asks these clinics for their slopes at a head, and adds them up."""

    fit: SlopeFit
    names: Collection[str]
    sums: Mapping[str, HeadSums]
    capped: Mapping[str, HeadSums]

    def __call__(self, head: LinearHead) -> SlopeSums:
        fit = self.fit
        content = encode_slopes_request(fit.weights, fit.round, head)
        asked = Assignment(SLOPES_TRAIN, fit.round, content)
        found, _ = collect(fit.grid, asked, fit.rules, self._decode, self.names)
        if found.keys() != set(self.names):
            raise _FellAwayError(set(found))
        return reduce(add, (own.times(self._factor(name)) for name, own in sorted(found.items())))

    def _decode(self, clinic: str, content: RecordDict) -> tuple[SlopeSums, float]:
        own = self.sums[clinic]
        slopes, seconds = decode_slope_sums(content, own.targets.shape)
        slopes.validate(own.gram)
        return slopes, seconds

    def _factor(self, clinic: str) -> float:
        return float(self.capped[clinic].gram[-1, -1] / self.sums[clinic].gram[-1, -1])
