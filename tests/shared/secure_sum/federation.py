"""A federation in one process, for tests: clinics, a server, and who drops out at which step."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from dermafed.shared.secure_sum.adverts import Cohort
from dermafed.shared.secure_sum.clinic_side import ClinicSide
from dermafed.shared.secure_sum.context import KeyContext, Task
from dermafed.shared.secure_sum.fixed_point import Layout, Part
from dermafed.shared.secure_sum.masked_vector import MaskedVector
from dermafed.shared.secure_sum.reveals import Reveals
from dermafed.shared.secure_sum.roster import Roster
from dermafed.shared.secure_sum.server_side import ServerSide
from dermafed.shared.secure_sum.sum_log import after
from dermafed.shared.secure_sum.terms import Terms

KEYS, SHARES, MASKED, SIGNED, RELEASED = STEPS = ("keys", "shares", "masked", "signed", "released")
"""What a clinic that drops out no longer sends."""

MODEL = "a" * 64


@cache
def enrolment_key(clinic: int) -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP384R1())


def pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    encoding, kind = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(encoding, kind)


def openssh(key: ec.EllipticCurvePrivateKey) -> str:
    encoding, kind = serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    return key.public_key().public_bytes(encoding, kind).decode()


def name(clinic: int) -> str:
    return f"clinic-{clinic:04d}"


@cache
def roster(clinics: int) -> Roster:
    return Roster.from_pem({name(clinic): pem(enrolment_key(clinic)) for clinic in range(clinics)})


def terms(clinics: int, colluders: int = 1, parts: tuple[Part, ...] = (Part("delta", 3, 4.0),)) -> Terms:
    return Terms("b" * 64, roster(clinics), colluders, Layout(parts, clinics))


def task(round: int = 1, model: str = MODEL) -> Task:
    return Task(7, round, "train", model)


@dataclass
class Remembered:
    """A clinic's log in memory."""

    sums: dict[tuple[str, int, str], list[str]] = field(default_factory=dict)

    def begin(self, context: KeyContext) -> None:
        self._add(context, str(context.attempt))

    def sign(self, context: KeyContext) -> None:
        self._add(context, "signed")

    def _add(self, context: KeyContext, what: str) -> None:
        name = context.plan, context.round, context.label
        self.sums[name] = after(self.sums.get(name, []), what, context)


@dataclass
class Federation:
    """Clinics that do as the protocol says, until they drop out.

    Attributes:
        terms: of the sum.
        values: each clinic's values.
        drops: from which step on a clinic sends nothing.
        attempt: the attempt's number.
        logs: of each clinic; to be kept over attempts.
        carry: what a message passes on its way to the server and back: tests may change it.
        transcript: what the clinics sent.
        carried: the bytes of all messages.
    """

    terms: Terms
    values: Mapping[int, Mapping[str, Any]]
    drops: Mapping[int, str] = field(default_factory=dict)
    attempt: int = 1
    task: Task = field(default_factory=task)
    logs: dict[int, Remembered] = field(default_factory=dict)
    carry: Callable[[Any], Any] = lambda message: message
    transcript: list[Any] = field(default_factory=list)
    carried: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        count = len(self.terms.roster)
        self.logs = self.logs or {clinic: Remembered() for clinic in range(count)}
        self.clinics = {clinic: self.side(clinic) for clinic in range(count)}
        self.server = ServerSide(self.terms, self.task, self.attempt)

    def side(self, clinic: int) -> ClinicSide:
        return ClinicSide(self.terms, name(clinic), enrolment_key(clinic), self.logs[clinic])

    def run(self) -> dict[str, np.ndarray]:
        cohort = self.keys()
        following: Cohort | Reveals = self.reveals(cohort) if self.terms.draws_graph else cohort
        self.deal(following)
        self.sums()
        return self.open()

    def keys(self) -> Cohort:
        for clinic in self.sending(KEYS):
            self.up(self.server.take_advert, self.clinics[clinic].advertise(self.server.context, self.task))
        return self.pass_on(self.server.close_keys())

    def reveals(self, cohort: Cohort) -> Reveals:
        for clinic in self.sending(SHARES, self.server._adverts):
            reveal = self.clinics[clinic].reveal(cohort)
            if reveal is not None:
                self.up(self.server.take_reveal, reveal)
        return self.pass_on(self.server.close_reveals())

    def deal(self, following: Cohort | Reveals) -> None:
        for clinic in self.sending(SHARES, self.server._adverts):
            side = self.clinics[clinic]
            deal = side.deal if isinstance(following, Cohort) else side.deal_after_reveals
            self.up(self.server.take_dealt, deal(following))

    def sums(self) -> None:
        delivered = self.server.close_shares()
        for clinic in self.sending(MASKED, delivered):
            shares = self.pass_on(delivered[clinic])
            self.up(self.server.take_masked, self.clinics[clinic].mask(shares, self.values[clinic]))

    def open(self) -> dict[str, np.ndarray]:
        survivors = self.pass_on(self.server.close_masked())
        for clinic in self.sending(SIGNED, survivors.clinics):
            self.up(self.server.take_signed, self.clinics[clinic].sign(survivors))
        signatures = self.pass_on(self.server.close_survivors())
        for clinic in self.sending(RELEASED, [clinic for clinic, _ in signatures.signed]):
            self.up(self.server.take_released, self.clinics[clinic].release(signatures))
        return self.server.close()

    def up(self, take: Callable[[Any], None], message: Any) -> None:
        self.transcript.append(message)
        take(self.pass_on(message))

    def pass_on(self, message: Any) -> Any:
        self.carried.append(message.to_bytes())
        return self.carry(message)

    def sending(self, step: str, among: Iterable[int] | None = None) -> list[int]:
        alive = self.clinics if among is None else among
        return [
            clinic
            for clinic in sorted(alive)
            if clinic not in self.drops or STEPS.index(step) < STEPS.index(self.drops[clinic])
        ]


def over_the_wire(message: Any) -> Any:
    """The message after its bytes were written and read."""
    data = message.to_bytes()
    if isinstance(message, MaskedVector):
        return MaskedVector.from_bytes(data, message.values.size)
    return type(message).from_bytes(data)


def random_values(rng: np.random.Generator, clinics: int, layout: Layout) -> dict[int, dict[str, np.ndarray]]:
    return {
        clinic: {
            part.name: rng.integers(0, int(part.largest), part.size, endpoint=True)
            if part.whole
            else rng.uniform(-part.largest, part.largest, part.size)
            for part in layout.parts
        }
        for clinic in range(clinics)
    }
