"""One attempt at a secure sum, over Flower's grid: each step asks those that are still in it."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from flwr.app import RecordDict
from flwr.serverapp import Grid

from dermafed.server.rounds.connected import reasons
from dermafed.server.rounds.exchange import Assignment, Participation
from dermafed.server.rounds.ledger_heads import LedgerHeads, exchange_watched
from dermafed.server.rounds.opened_sums import Asked, GroupSum, Opened
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
from dermafed.shared.secure_sum.adverts import Advert
from dermafed.shared.secure_sum.masked_vector import MaskedVector
from dermafed.shared.secure_sum.released_shares import ReleasedShares
from dermafed.shared.secure_sum.reveals import Reveal
from dermafed.shared.secure_sum.sealed_shares import DealtShares, DeliveredShares
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


@dataclass
class SumExchange:
    """One attempt at a sum.

    Attributes:
        grid: Flower's connection to the clinics.
        rules: quorum and deadlines.
        attempts: the attempts so far.
        asked: which.
        side: the server's side of the protocol, up to the groups.
        terms: its terms.
        clinics: node id to name of those that are still in it.
        left_out: the others, each with the reason.
        groups: the sides of the groups, or that of all clinics.
        sent_survivors: whether the list of survivors was sent: no other attempt can follow.
        busy: seconds that the third step took.
        ledgers: what was seen of the clinics' ledgers, in a run with differential privacy.
    """

    grid: Grid
    rules: RoundRules
    attempts: SumAttempts
    asked: Asked
    side: ServerSide
    terms: Terms
    clinics: dict[int, str]
    left_out: dict[str, str] = field(default_factory=dict)
    groups: tuple[ServerSide, ...] = ()
    sent_survivors: bool = False
    busy: float = 0.0
    ledgers: LedgerHeads | None = None

    def open(self) -> Opened:
        """All steps.

        Raises:
            FederationError: too few clinics are left in a step.
        """
        side, label, round = self.side, self.asked.label, self.asked.round
        self._ask(SUM_KEYS, side.context, Advert.from_bytes, side.take_advert)
        following: _Bytes = side.close_keys()
        if self.terms.draws_graph:
            self._ask(SUM_PARTS, following, Reveal.from_bytes, side.take_reveal)
            following = side.close_reveals()
        self.groups = groups = side.groups()
        self._ask(SUM_SHARES, following, DealtShares.from_bytes, self._of_group(ServerSide.take_dealt))
        self._ask_for_values([group.close_shares() for group in groups])
        survivors = [(group, group.close_masked()) for group in groups]
        self._check_quorum(self._names)
        self.attempts.send_survivors(label, round)
        self.sent_survivors = True
        take_signed = self._of_group(ServerSide.take_signed)
        self._ask_groups(SUM_SURVIVORS, survivors, SignedSurvivors.from_bytes, take_signed)
        signatures = [(group, group.close_survivors()) for group in groups]
        take_released = self._of_group(ServerSide.take_released)
        self._ask_groups(SUM_RELEASE, signatures, ReleasedShares.from_bytes, take_released)
        sums = tuple(GroupSum(group.names, group.close()) for group in groups)
        return Opened(sums, self._participation())

    def lost(self, error: FederationError) -> FederationError:
        """Why it was not opened, with who was left out."""
        where = "; ".join(reasons(Participation(left_out=self.left_out))) or str(error.where)
        return FederationError(error.what, where=where, remedy=error.remedy)

    def _ask(
        self,
        kind: str,
        message: _Bytes,
        read: Callable[[bytes], _Message],
        take: Callable[[_Message], None],
    ) -> None:
        """A step in which all clinics get the same message."""
        content = encode_step(self._attempt, message.to_bytes())
        self._exchange(Assignment(kind, self.asked.round, content), STEP_SECONDS, read, take)

    def _ask_groups(
        self,
        kind: str,
        messages: Iterable[tuple[ServerSide, _Bytes]],
        read: Callable[[bytes], _Message],
        take: Callable[[_Message], None],
    ) -> None:
        """A step in which all clinics of a group get the same message."""
        encoded = [(group, encode_step(self._attempt, message.to_bytes())) for group, message in messages]
        own = {name: content for group, content in encoded for name in group.names}
        self._exchange(Assignment(kind, self.asked.round, RecordDict(), own), STEP_SECONDS, read, take)

    def _ask_for_values(self, inboxes: Iterable[Mapping[int, DeliveredShares]]) -> None:
        own = {
            self.terms.roster.names[clinic]: encode_step(self._attempt, delivered.to_bytes())
            for inbox in inboxes
            for clinic, delivered in inbox.items()
        }
        size, tail = self.terms.layout.size, self.terms.layout.tail
        start = time.monotonic()
        self._exchange(
            Assignment(SUMMED[self.asked.label], self.asked.round, self.asked.content, own),
            self.rules.deadline,
            lambda data: MaskedVector.from_bytes(data, size, tail),
            self._of_group(ServerSide.take_masked),
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
        ledgers = self.ledgers if assignment.kind in SUMMED.values() else None
        participation = exchange_watched(ledgers, self.grid, assignment, self.clinics, deadline, accept)
        self.left_out |= participation.left_out
        self.clinics = {node: name for node, name in self.clinics.items() if name in participation.replied}

    def _of_group(self, take: Callable[[ServerSide, _Message], None]) -> Callable[[_Message], None]:
        """Takes a message at the side of its clinic's group."""

        def taken(message: _Message) -> None:
            for group in self.groups:
                if message.clinic in group.clinics:
                    take(group, message)
                    return
            raise FederationError("it is in no group")

        return taken

    def _check_quorum(self, names: Collection[str]) -> None:
        found, needed = len(names), self.rules.needed
        if found < needed:
            raise FederationError(
                f"{found} clinics sent their values, of the {needed} that the plan wants",
                remedy="Fix the clinics named here, then resume the run",
            )

    def _participation(self) -> Participation:
        """Those whose values are in the sum took part, even if they dropped out later."""
        replied = sorted(self._names)
        left_out = {name: why for name, why in self.left_out.items() if name not in replied}
        return Participation(replied, left_out, self.busy)

    @property
    def _names(self) -> list[str]:
        """Whose values are in a sum."""
        return [name for group in self.groups for name in group.names]

    @property
    def _attempt(self) -> SumAttempt:
        asked = self.asked
        return SumAttempt(asked.label, asked.round, self.side.context.attempt, asked.parameters, asked.coded)
