"""The table of suspensions: enrolled clinics that no run asks for the time being, and why."""

from __future__ import annotations

from dataclasses import dataclass

from dermafed.server.record.clinics_table import list_clinics
from dermafed.server.record.record_database import Record, has_table, now
from dermafed.shared.errors import SettingsError

_TABLE = """CREATE TABLE IF NOT EXISTS suspensions (
    clinic TEXT PRIMARY KEY, since TEXT NOT NULL, reason TEXT NOT NULL
)"""
"""Made with the first suspension: a record of version 0.1.0 has none, and is the same to that version."""


@dataclass(frozen=True, slots=True)
class Suspension:
    """A clinic that takes part in no run until it is reinstated.

    Attributes:
        clinic: its name.
        since: time of the suspension, UTC.
        reason: the coordinator's; may be empty.
    """

    clinic: str
    since: str
    reason: str

    @property
    def text(self) -> str:
        """In words, with the reason if there is one."""
        return f"suspended: {self.reason}" if self.reason else "suspended"


def suspend(record: Record, clinic: str, reason: str) -> None:
    """Suspend a clinic; again, only the reason changes.

    Raises:
        SettingsError: no such clinic is enrolled.
        StorageError: the record cannot be written.
    """
    enrolled = [one.name for one in list_clinics(record, revoked=False)]
    if clinic not in enrolled:
        remedy = f"Those enrolled: {', '.join(enrolled) or 'none'}"
        raise SettingsError(f"There is no enrolled clinic '{clinic}'", where=clinic, remedy=remedy)
    with record.writing() as db:
        db.execute(_TABLE)
        db.execute(
            "INSERT INTO suspensions VALUES (?, ?, ?)"
            " ON CONFLICT (clinic) DO UPDATE SET reason = excluded.reason",
            (clinic, now(), reason),
        )


def reinstate(record: Record, clinic: str) -> None:
    """End a clinic's suspension.

    Raises:
        SettingsError: it is not suspended.
        StorageError: the record cannot be written.
    """
    if clinic not in (known := list_suspensions(record)):
        remedy = f"Those suspended: {', '.join(known) or 'none'}"
        raise SettingsError(f"The clinic '{clinic}' is not suspended", where=clinic, remedy=remedy)
    with record.writing() as db:
        db.execute("DELETE FROM suspensions WHERE clinic = ?", (clinic,))


def list_suspensions(record: Record) -> dict[str, Suspension]:
    """The suspended clinics by name."""
    with record.reading() as db:
        if not has_table(db, "suspensions"):
            return {}
        rows = db.execute("SELECT clinic, since, reason FROM suspensions ORDER BY clinic")
        return {row["clinic"]: Suspension(**dict(row)) for row in rows}
