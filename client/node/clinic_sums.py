"""A clinic's part in secure sums: it takes the steps of one sum at a time, and checks each itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.asymmetric import ec
from flwr.app import Context
from numpy.typing import ArrayLike, NDArray

from dermafed.client.node.last_changes import LastChanges
from dermafed.client.node.sum_transcript import SumTranscripts
from dermafed.shared.errors import FederationError
from dermafed.shared.protocol.messages import Instruction
from dermafed.shared.protocol.sum_messages import (
    SUM_KEYS,
    SUM_PARTS,
    SUM_RELEASE,
    SUM_SHARES,
    SUM_SURVIVORS,
    SUMMED,
    SumAttempt,
)
from dermafed.shared.protocol.summed import NO_MODEL, Summing, digest_of
from dermafed.shared.secure_sum.adverts import Cohort
from dermafed.shared.secure_sum.clinic_side import ClinicSide
from dermafed.shared.secure_sum.context import KeyContext, Task
from dermafed.shared.secure_sum.reveals import Reveals
from dermafed.shared.secure_sum.sealed_shares import DeliveredShares
from dermafed.shared.secure_sum.sum_log import SumLog
from dermafed.shared.secure_sum.survivors import Signatures, Survivors


@dataclass(frozen=True)
class Summand:
    """What a clinic takes part in the sums of a run with.

    Attributes:
        name: its name in the roster.
        key: its private enrolment key, EC P-384.
        log: what it has done in sums before.
        summing: what it approved.
        counts: its own training images of each class (C,).
        transcripts: of what it is sent and sends; a simulation has none.
        noisy_counts: its part of a sum of patients in place of them, with noise, in whole steps: debits them.
    """

    name: str
    key: ec.EllipticCurvePrivateKey
    log: SumLog
    summing: Summing
    counts: tuple[int, ...]
    transcripts: SumTranscripts | None = None
    noisy_counts: Callable[[], NDArray[np.int64]] | None = None

    @property
    def images(self) -> int:
        """Its training images: its weight in the mean."""
        return sum(self.counts)


@dataclass
class _Begun:
    """An attempt that this clinic takes part in.

    Attributes:
        of: which one.
        summand: what with.
        side: where it stands.
        model: SHA-256 of what is asked for, as the server announced it.
        draws_graph: whether a graph is drawn in it.
    """

    of: SumAttempt
    summand: Summand
    side: ClinicSide
    model: str
    draws_graph: bool

    def note(self, kind: str, received: bytes, sent: bytes, **more: Any) -> None:
        """Write a step down in the transcript, if there is one."""
        if self.summand.transcripts is not None:
            self.summand.transcripts.add(self.of, kind, received, sent, more=more)

    @contextmanager
    def refusals(self, kind: str, received: bytes) -> Iterator[None]:
        """Write down why a step is refused."""
        try:
            yield
        except FederationError as error:
            if self.summand.transcripts is not None:
                self.summand.transcripts.add(self.of, kind, received, refused=str(error))
            raise


@dataclass
class ClinicSums:
    """The sums of a clinic, or of the clinics in this process; of each clinic one attempt is known at a time.

    Its secrets are in the memory only: a worker that starts again has dropped out of the sum.

    Attributes:
        summand_for: what a context's clinic takes part with.
    """

    summand_for: Callable[[Context], Summand]
    _begun: dict[int, _Begun] = field(default_factory=dict)
    _models: LastChanges = field(default_factory=LastChanges)

    def step(self, kind: str, of: SumAttempt, message: bytes, context: Context) -> bytes:
        """Take any step but the third.

        Args:
            kind: the type of the server's message.
            of: of which sum it is.
            message: the message of the protocol.
            context: tells which clinic is meant.

        Returns:
            The clinic's message; empty if it draws no part of the graph.

        Raises:
            FederationError: see :class:`dermafed.shared.secure_sum.clinic_side.ClinicSide`.
        """
        if kind == SUM_KEYS:
            return self._begin(of, message, context)
        begun = self._find(of, context)
        with begun.refusals(kind, message):
            reply = _STEPS[kind](begun, message)
        begun.note(kind, message, reply)
        return reply

    def mask(
        self,
        of: SumAttempt,
        message: bytes,
        context: Context,
        asked: Instruction | None,
        values: Callable[[Summand], Mapping[str, ArrayLike]],
    ) -> bytes:
        """Take the third step: send this clinic's values under its masks.

        Args:
            of: of which sum it is.
            message: the message of the protocol.
            context: tells which clinic is meant.
            asked: the model and what is asked for with it; ``None``: of no model.
            values: makes the values, once it is known that they are asked for as was announced.

        Raises:
            FederationError: the server asks for something of another model than the one in the masks, or see
                :class:`dermafed.shared.secure_sum.clinic_side.ClinicSide`.
        """
        begun = self._find(of, context)
        model = NO_MODEL if asked is None else digest_of(asked)
        with begun.refusals(SUMMED[of.label], message):
            if model != begun.model:
                raise FederationError(
                    "The model is another one than the one that the server announced",
                    where="secure sum",
                    remedy="Nothing was sent; ask the coordinator what runs there",
                )
            delivered = DeliveredShares.from_bytes(message)
            own = values(begun.summand)
            masked = begun.side.mask(delivered, own).to_bytes()
        if begun.summand.transcripts is not None:  # a simulation holds no models of a thousand clinics
            more = self._models.note(context, asked, own)
            begun.note(SUMMED[of.label], message, masked, model=model, **more)
        return masked

    def _begin(self, of: SumAttempt, message: bytes, context: Context) -> bytes:
        self._begun.pop(context.node_id, None)
        announced, summand = KeyContext.from_bytes(message), self.summand_for(context)
        # The model follows in the third step, and is compared with this hash there, before any work.
        model = NO_MODEL if of.label == "counts" else announced.model
        terms = summand.summing.terms(of.label, of.parameters, of.coded)
        side = ClinicSide(terms, summand.name, summand.key, summand.log)
        if announced.attempt != of.attempt:
            raise FederationError("The attempt is another one than the message says", where="secure sum")
        begun = _Begun(of, summand, side, model, terms.draws_graph)
        with begun.refusals(SUM_KEYS, message):
            advert = side.advertise(announced, Task(context.run_id, of.round, of.label, model))
        self._begun[context.node_id] = begun
        begun.note(SUM_KEYS, message, advert.to_bytes(), parameters=of.parameters, coded=of.coded)
        return advert.to_bytes()

    def _find(self, of: SumAttempt, context: Context) -> _Begun:
        begun = self._begun.get(context.node_id)
        if begun is None or begun.of != of:
            raise FederationError(
                "This clinic has not begun this attempt at a secure sum, or no longer knows it",
                where="secure sum",
                remedy="It takes part in the next one",
            )
        return begun


def _part(begun: _Begun, message: bytes) -> bytes:
    reveal = begun.side.reveal(Cohort.from_bytes(message))
    return b"" if reveal is None else reveal.to_bytes()


def _deal(begun: _Begun, message: bytes) -> bytes:
    if begun.draws_graph:
        return begun.side.deal_after_reveals(Reveals.from_bytes(message)).to_bytes()
    return begun.side.deal(Cohort.from_bytes(message)).to_bytes()


_STEPS: Mapping[str, Callable[[_Begun, bytes], bytes]] = {
    SUM_PARTS: _part,
    SUM_SHARES: _deal,
    SUM_SURVIVORS: lambda begun, message: begun.side.sign(Survivors.from_bytes(message)).to_bytes(),
    SUM_RELEASE: lambda begun, message: begun.side.release(Signatures.from_bytes(message)).to_bytes(),
}
