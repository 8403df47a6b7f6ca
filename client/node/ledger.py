"""The clinic's ledger of privacy: what its patients have spent, over all runs, whatever happens to them.

Each release is debited, and on the disk, before it is computed: who dies in between has spent it. Entries are
chained by SHA-256, so that none can be changed or left out; what an older copy of the whole file lacks is
noticed by the head, which the server knows (:mod:`dermafed.shared.protocol.ledger_messages`).
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar, Literal, get_args

import numpy as np

from dermafed.client.node.replying import NotApproved
from dermafed.shared.errors import StorageError
from dermafed.shared.privacy.accountant import Curve, Mechanism, curve_of, epsilon_of, nothing
from dermafed.shared.storage.database import Database

What = Literal["counts", "training", "validation"]
"""What is released: the first two are of training patients."""

START = "0" * 64
"""The digest before the first entry."""


_ROUNDING = 1e-9  # of a sum in another order
_MOST_CURVES = 64


class BudgetSpent(NotApproved):
    """A release would spend more than a plan or the clinic allows."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What may be spent of each patient.

    Attributes:
        epsilon: at most.
        delta: at this delta.
    """

    epsilon: float
    delta: float


@dataclass(frozen=True, slots=True)
class Charge:
    """A release of a run.

    Attributes:
        plan: the offer's SHA-256.
        name: the run's name at the coordinator.
        round: its number; 0 before the first.
        what: what is released.
        noise: as in :class:`Mechanism`.
        rate: as there.
        times: as there.
        time: when it was debited, ISO 8601 in UTC.
    """

    plan: str
    name: str
    round: int
    what: What
    noise: float
    rate: float
    times: int
    time: str

    @property
    def mechanism(self) -> Mechanism:
        """What it costs."""
        return Mechanism(self.noise, self.rate, self.times)


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """A charge in the ledger.

    Attributes:
        charge: what was debited.
        digest: SHA-256 of the digest before it and the charge, hexadecimal.
    """

    charge: Charge
    digest: str


class LedgerFile(Database):
    """The ledger's SQLite file."""

    name: ClassVar[str] = "ledger of privacy"
    version: ClassVar[int] = 1
    tables: ClassVar[str] = (
        "CREATE TABLE entries (number INTEGER PRIMARY KEY, charge TEXT NOT NULL, digest TEXT NOT NULL);"
    )


@dataclass(frozen=True)
class Ledger:
    """A clinic's ledger.

    Attributes:
        path: its file; it is made with the first charge.
    """

    path: Path

    def entries(self) -> list[LedgerEntry]:
        """All entries, the oldest first.

        Raises:
            StorageError: the file cannot be read, or an entry was changed or removed.
        """
        if not self.path.exists():
            return []
        file = LedgerFile(self.path)
        file.complete()
        with file.reading() as db:
            return self._read(db)

    def debit(self, charge: Charge, of_plan: Budget, of_clinic: Budget) -> None:
        """Write a release down; once this returns, it is on the disk and may be computed.

        Raises:
            BudgetSpent: the plan's releases, or all of the clinic's, would spend more; nothing is written.
            StorageError: the ledger cannot be read or written.
        """
        file = LedgerFile(self.path) if self.path.exists() else LedgerFile.create(self.path)
        file.complete()
        with file.writing() as db:
            entries = self._read(db)
            charges = [*(entry.charge for entry in entries), charge]
            _refuse_beyond(of_plan, [one for one in charges if one.plan == charge.plan], "The plan")
            _refuse_beyond(of_clinic, charges, "This clinic")
            text = _text(charge)
            digest = _chained(entries[-1].digest if entries else START, text)
            row = (len(entries) + 1, text, digest)
            db.execute("INSERT INTO entries (number, charge, digest) VALUES (?, ?, ?)", row)

    def _read(self, db: sqlite3.Connection) -> list[LedgerEntry]:
        """The entries, whose chain is checked."""
        found: list[LedgerEntry] = []
        before = START
        for number, row in enumerate(db.execute("SELECT * FROM entries ORDER BY number"), start=1):
            if row["number"] != number or row["digest"] != _chained(before, row["charge"]):
                raise self._changed()
            try:
                charge = Charge(**json.loads(row["charge"]))
            except (ValueError, TypeError) as error:
                raise self._changed() from error
            before = row["digest"]
            found.append(LedgerEntry(charge, before))
        return found

    def _changed(self) -> StorageError:
        return StorageError(
            "An entry of the ledger of privacy was changed or removed",
            where=self.path,
            remedy="Find out who changed it and restore the newest copy; without it, no private run goes on",
        )


def spent_epsilon(charges: Iterable[Charge], delta: float) -> float:
    """What was spent of any patient at a delta, over all plans."""
    charges = list(charges)
    return max((epsilon_of(curve, delta) for curve in _curves(charges)), default=0.0) if charges else 0.0


def _curves(charges: Sequence[Charge]) -> list[Curve]:
    """The curves of the patients: each is on one side of each plan, and may be on any in another plan."""
    curves = [nothing()]
    for plan in dict.fromkeys(charge.plan for charge in charges):
        sides = _sides([charge for charge in charges if charge.plan == plan])
        curves = [before + side for before in curves for side in sides]
        if len(curves) > _MOST_CURVES:
            curves = [np.max(curves, axis=0)]  # of all of them together, which is more than any spends
    return curves


def _sides(charges: Sequence[Charge]) -> list[Curve]:
    """The curves of a plan's training and validation patients; without the one that is never above."""
    validation = curve_of(one.mechanism for one in charges if one.what == "validation")
    training = curve_of(one.mechanism for one in charges if one.what != "validation")
    if (training >= validation).all():
        return [training]
    return [validation] if (validation >= training).all() else [training, validation]


def _refuse_beyond(budget: Budget, charges: Sequence[Charge], who: str) -> None:
    if not all(one.noise > 0 and 0 < one.rate <= 1 and one.times > 0 for one in charges):
        raise BudgetSpent("A release without noise", where=charges[-1].name)
    spent = spent_epsilon(charges, budget.delta)
    if not spent <= budget.epsilon * (1 + _ROUNDING):  # NaN neither
        raise BudgetSpent(
            f"{who} allows epsilon {budget.epsilon:g} at delta {budget.delta:g}, not {spent:.3g}",
            where=f"{charges[-1].name}, round {charges[-1].round}, {charges[-1].what}",
            remedy="See fl-client privacy; a larger budget is [privacy] epsilon in clinic.toml",
        )


def _text(charge: Charge) -> str:
    assert charge.what in get_args(What)
    return json.dumps(asdict(charge), sort_keys=True, separators=(",", ":"))


def _chained(before: str, text: str) -> str:
    return hashlib.sha256(f"{before}\n{text}".encode()).hexdigest()
