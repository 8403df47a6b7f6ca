"""The table of silences: connected clinics whose node has not been heard for some seconds, and since when."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from dermafed.server.record.record_database import Record, has_table

_TABLE = "CREATE TABLE IF NOT EXISTS silences (clinic TEXT PRIMARY KEY, since TEXT NOT NULL)"
"""Made with the first silence: a record of version 0.1.0 has none, and is the same to that version."""


def save_silences(record: Record, seconds: Mapping[str, float]) -> None:
    """Save which clinics are silent, if others are than before.

    Args:
        record: the federation's database.
        seconds: for how long each is.

    Raises:
        StorageError: the record cannot be written.
    """
    before = list_silences(record)
    if before.keys() == seconds.keys():
        return
    now = datetime.now(UTC)
    since = {
        clinic: before.get(clinic) or (now - timedelta(seconds=length)).isoformat(timespec="seconds")
        for clinic, length in seconds.items()
    }
    with record.writing() as db:
        db.execute(_TABLE)
        db.execute("DELETE FROM silences")
        db.executemany("INSERT INTO silences VALUES (?, ?)", list(since.items()))


def list_silences(record: Record) -> dict[str, str]:
    """The silent clinics by name, and since when each is; valid while the server runs."""
    with record.reading() as db:
        if not has_table(db, "silences"):
            return {}
        return {row["clinic"]: row["since"] for row in db.execute("SELECT clinic, since FROM silences")}


def silence_words(since: str) -> str:
    """That a clinic is silent, in words."""
    return f"not heard since {since[11:19]} UTC"
