"""One attempt at a secure sum, over Flower's grid: each step asks those that are still in it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, TypeVar

import numpy as np
from flwr.app import RecordDict
from flwr.serverapp import Grid
from numpy.typing import NDArray

from dermafed.server.rounds.connected import reasons
from dermafed.server.rounds.exchange import Assignment, Participation, exchange
from dermafed.server.rounds.round_rules import RoundRules
from dermafed.server.rounds.sum_attempts import SumAttempts
from dermafed.shared.errors import FederationError
from dermafed.shared.protocol.sum_messages import (
    SUM_KEYS,
    SUM_PARTS,
    SUM_RELEASE,
    SUM_SHARES,
    SUM_SURVIVORS,
    SUMMED,
    SumAttempt,
    decode_sum,
    encode_step,
)
from dermafed.shared.protocol.summed import Label
from dermafed.shared.secure_sum.adverts import Advert
from dermafed.shared.secure_sum.masked_vector import MaskedVector
from dermafed.shared.secure_sum.released_shares import ReleasedShares
from dermafed.shared.secure_sum.reveals import Reveal
from dermafed.shared.secure_sum.sealed_shares import DealtShares
from dermafed.shared.secure_sum.server_side import ServerSide
from dermafed.shared.secure_sum.survivors import SignedSurvivors
from dermafed.shared.secure_sum.terms import Terms

STEP_SECONDS = 300.0
"""How long a step without training or evaluation waits for a clinic at most."""


class _OfClinic(Protocol):
    @property
    def clinic(self) -> int: ...


_Message = TypeVar("_Message", bound=_OfClinic)


class _Bytes(Protocol):
    def to_bytes(self) -> bytes: ...


@dataclass(frozen=True)
class Asked:
    """A sum.

    Attributes:
        label: which of the round's sums.
        round: the round's number; 0 before the first.
        model: SHA-256 of what is asked for.
        parameters: how many weights are summed in full.
        coded: how many are summed in few bits.
        content: what clinics get with the third step.
    """

    label: Label
    round: int
    model: str
    parameters: int = 0
    coded: int = 0
    content: RecordDict = field(default_factory=RecordDict)


class Opened(NamedTuple):
    """A sum that was opened.

    Attributes:
        sums: by part of its layout, float64 (size,).
        participation: who is in it, and why others are not.
    """

    sums: dict[str, NDArray[np.float64]]
    participation: Participation


@dataclass
class SumExchange:
    """One attempt at a sum.

    Attributes:
        grid: Flower's connection to the clinics.
        rules: quorum and deadlines.
        attempts: the attempts so far.
        asked: which.
        side: the server's side of the protocol.
        terms: its terms.
        clinics: node id to name of those that are still in it.
        left_out: the others, each with the reason.
        sent_survivors: whether the list of survivors was sent: no other attempt can follow.
        busy: seconds that the third step took.
    """

    grid: Grid
    rules: RoundRules
    attempts: SumAttempts
    asked: Asked
    side: ServerSide
    terms: Terms
    clinics: dict[int, str]
    left_out: dict[str, str] = field(default_factory=dict)
    sent_survivors: bool = False
    busy: float = 0.0

    def open(self) -> Opened:
        """All steps.

        Raises:
            FederationError: too few clinics are left in a step.
        """
        side, label, round = self.side, self.asked.label, self.asked.round
        self._ask(SUM_KEYS, side.context.to_bytes(), Advert.from_bytes, side.take_advert)
        following: _Bytes = side.close_keys()
        if self.terms.draws_graph:
            self._ask(SUM_PARTS, following.to_bytes(), Reveal.from_bytes, side.take_reveal)
            following = side.close_reveals()
        self._ask(SUM_SHARES, following.to_bytes(), DealtShares.from_bytes, side.take_dealt)
        delivered = {self._name(at): each.to_bytes() for at, each in side.close_shares().items()}
        self._ask_for_values(delivered)
        survivors = side.close_masked()
        self._check_quorum(side.names)
        self.attempts.send_survivors(label, round)
        self.sent_survivors = True
        self._ask(SUM_SURVIVORS, survivors.to_bytes(), SignedSurvivors.from_bytes, side.take_signed)
        signatures = side.close_survivors()
        self._ask(SUM_RELEASE, signatures.to_bytes(), ReleasedShares.from_bytes, side.take_released)
        return Opened(side.close(), self._participation())

    def lost(self, error: FederationError) -> FederationError:
        """Why it was not opened, with who was left out."""
        where = "; ".join(reasons(Participation(left_out=self.left_out))) or str(error.where)
        return FederationError(error.what, where=where, remedy=error.remedy)

    def _ask(
        self,
        kind: str,
        message: bytes,
        read: Callable[[bytes], _Message],
        take: Callable[[_Message], None],
    ) -> None:
        """A step in which all clinics get the same message."""
        content = encode_step(self._attempt, message)
        self._exchange(Assignment(kind, self.asked.round, content), STEP_SECONDS, read, take)

    def _ask_for_values(self, delivered: Mapping[str, bytes]) -> None:
        own = {name: encode_step(self._attempt, message) for name, message in delivered.items()}
        size, tail = self.terms.layout.size, self.terms.layout.tail
        start = time.monotonic()
        self._exchange(
            Assignment(SUMMED[self.asked.label], self.asked.round, self.asked.content, own),
            self.rules.deadline,
            lambda data: MaskedVector.from_bytes(data, size, tail),
            self.side.take_masked,
        )
        self.busy = time.monotonic() - start

    def _exchange(
        self,
        assignment: Assignment,
        seconds: float,
        read: Callable[[bytes], _Message],
        take: Callable[[_Message], None],
    ) -> None:
        """Ask those that are still in the sum; who does not reply as it should has dropped out."""
        places = {name: at for at, name in enumerate(self.terms.roster.names)}

        def accept(clinic: str, content: RecordDict) -> float:
            data = decode_sum(content)
            if assignment.kind == SUM_PARTS and not data:
                return 0.0  # it draws no part of the graph
            message = read(data)
            if message.clinic != places[clinic]:
                raise FederationError("it replied in the name of another clinic")
            take(message)
            return 0.0

        deadline = min(seconds, self.rules.deadline)
        participation = exchange(self.grid, assignment, self.clinics, deadline, accept)
        self.left_out |= participation.left_out
        self.clinics = {node: name for node, name in self.clinics.items() if name in participation.replied}

    def _check_quorum(self, names: Iterable[str]) -> None:
        found, needed = len(list(names)), self.rules.needed
        if found < needed:
            raise FederationError(
                f"{found} clinics sent their values, of the {needed} that the plan wants",
                remedy="Fix the clinics named here, then resume the run",
            )

    def _participation(self) -> Participation:
        """Those whose values are in the sum took part, even if they dropped out later."""
        replied = list(self.side.names)
        left_out = {name: why for name, why in self.left_out.items() if name not in replied}
        return Participation(replied, left_out, self.busy)

    def _name(self, place: int) -> str:
        return self.terms.roster.names[place]

    @property
    def _attempt(self) -> SumAttempt:
        asked = self.asked
        return SumAttempt(asked.label, asked.round, self.side.context.attempt, asked.parameters, asked.coded)
