"""The table of clinics: each clinic's key, when it was enrolled and revoked."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from dataclasses import dataclass

from dermafed.server.record.record_database import Record, has_table, now
from dermafed.shared.errors import SettingsError

_SEEN = "CREATE TABLE IF NOT EXISTS seen (key TEXT PRIMARY KEY)"
"""Keys of clinics that have connected; made with the first: to version 0.1.0 a record without is the same."""


@dataclass(frozen=True, slots=True)
class Clinic:
    """A clinic with one key; a clinic whose key changed has an entry for each.

    Attributes:
        name: unique among those that are not revoked.
        key: its public key, OpenSSH on one line.
        enrolled: time of the enrolment, UTC.
        revoked: time of the revocation, or ``None``.
        online: time since which its node is connected, or ``None``; valid while the server runs.
    """

    name: str
    key: str
    enrolled: str
    revoked: str | None
    online: str | None


def enrol(record: Record, name: str, key: str) -> bool:
    """Register a clinic's key under its name.

    Returns:
        Whether this is new; the same key and name again change nothing.

    Raises:
        SettingsError: the name or the key is in use, or the key was revoked.
        StorageError: the record cannot be written.
    """
    with record.writing() as db:
        for known in _all(db):
            if known.key == key:
                return _known_key(known, name)
            if known.name == name and known.revoked is None:
                raise SettingsError(
                    f"The clinic '{name}' is enrolled with another key",
                    where=name,
                    remedy=f"To replace its key: fl-server revoke {name}, then enrol again",
                )
        db.execute("INSERT INTO clinics (name, key, enrolled) VALUES (?, ?, ?)", (name, key, now()))
    return True


def revoke(record: Record, name: str) -> None:
    """Revoke a clinic's key; the key cannot be enrolled again.

    Raises:
        SettingsError: no such clinic is enrolled.
        StorageError: the record cannot be written.
    """
    with record.writing() as db:
        changed = db.execute(
            "UPDATE clinics SET revoked = ?, online = NULL WHERE name = ? AND revoked IS NULL", (now(), name)
        )
        if not changed.rowcount:
            enrolled = ", ".join(clinic.name for clinic in _all(db) if clinic.revoked is None) or "none"
            raise SettingsError(
                f"There is no enrolled clinic '{name}'", where=name, remedy=f"Those enrolled: {enrolled}"
            )


def list_clinics(record: Record, *, revoked: bool = True) -> list[Clinic]:
    """All clinics in the order of their enrolment, with or without the revoked ones."""
    with record.reading() as db:
        return [clinic for clinic in _all(db) if revoked or clinic.revoked is None]


def save_online(record: Record, names: Collection[str]) -> None:
    """Save which clinics are connected, and since when; nothing is written where nothing has changed."""
    with record.reading() as db:
        changed = [clinic for clinic in _all(db) if _is_online(clinic, names) != (clinic.online is not None)]
    if not changed:
        return
    with record.writing() as db:
        db.execute(_SEEN)
        for clinic in changed:
            since = None if clinic.online else now()
            db.execute("UPDATE clinics SET online = ? WHERE key = ? AND revoked IS NULL", (since, clinic.key))
            db.execute("INSERT OR IGNORE INTO seen VALUES (?)", (clinic.key,))


def list_unseen(record: Record) -> set[str]:
    """The names of the enrolled clinics that have never connected; one of before version 0.2 may be new."""
    with record.reading() as db:
        seen = {row["key"] for row in db.execute("SELECT key FROM seen")} if has_table(db, "seen") else set()
        return {clinic.name for clinic in _all(db) if clinic.revoked is None and clinic.key not in seen}


def _is_online(clinic: Clinic, names: Collection[str]) -> bool:
    return clinic.revoked is None and clinic.name in names


def _known_key(known: Clinic, name: str) -> bool:
    if known.revoked is not None:
        raise SettingsError(
            f"This key of '{known.name}' was revoked on {known.revoked[:10]}",
            where=name,
            remedy="Have the clinic make a new key, in a new folder: fl-client init",
        )
    if known.name != name:
        raise SettingsError(
            f"This key belongs to the clinic '{known.name}'",
            where=name,
            remedy="Each clinic needs its own key",
        )
    return False


def _all(db: sqlite3.Connection) -> list[Clinic]:
    rows = db.execute("SELECT name, key, enrolled, revoked, online FROM clinics ORDER BY id")
    return [Clinic(**row) for row in map(dict, rows)]
