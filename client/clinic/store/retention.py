"""Remove what is stored: after so many days, or at once."""

from __future__ import annotations

import logging
import sqlite3
from dataclasses import replace
from datetime import datetime, timedelta

from dermafed.client.clinic.intake.clinical import Clinical
from dermafed.client.clinic.store.diagnoses import decrypt_diagnosis, encrypt_diagnosis
from dermafed.client.clinic.store.lesions import LESION
from dermafed.client.clinic.store.opinions import OPINION, decrypt_event
from dermafed.client.clinic.store.store_database import note_traces
from dermafed.client.clinic.store.vault import Vault, find_row, now, to_iso, to_milliseconds
from dermafed.shared.errors import StorageError

CLOCK = "clock"
"""Name of the time, in ``about``, at which retention was last applied."""

_FAR = timedelta(45)
_DAMAGED = b""  # a content that nobody can read

log = logging.getLogger("dermafed.store")


class ClockJump(StorageError):
    """The clock is far past all that the store knows; nothing was removed."""


def expire(vault: Vault, today: datetime, days: int, *, confirmed: bool = False) -> int:
    """Remove pictures, outlines, references, clinical data, requests, reasons and lesions past so many days.

    What remains of a diagnosis is what was answered, when, to which device, of which image by its digest, by
    which model, and who agreed: the account of the model's work, without anything of the person.
    Quarantined objects go as a whole.

    Args:
        vault: the store.
        today: this moment, by the machine's clock.
        days: how long all is stored.
        confirmed: whether a person has confirmed the clock.

    Returns:
        How many diagnoses and quarantined objects.

    Raises:
        ClockJump: the clock is more than 45 days past the last time that it was seen, or the newest record.
        StorageError: the disk fails.
    """
    limit = to_milliseconds(today) - days * 86_400_000
    with vault.database.writing() as db:
        _check_clock(vault, db, today, confirmed)
        rows = db.execute("SELECT * FROM diagnoses WHERE made < ? AND pictures", (limit,)).fetchall()
        objects = db.execute("SELECT id FROM quarantine WHERE made < ?", (limit,)).fetchall()
        for row in rows:
            _strip(vault, db, row)
        vault.files.remove(*(row["id"] for row in objects))  # before their rows, which leave no trace
        db.execute("DELETE FROM quarantine WHERE made < ?", (limit,))
        if rows or objects:
            note_traces(db)
    vault.files.remove(*(row["id"] for row in rows))
    vault.database.erase_traces()
    return len(rows) + len(objects)


def _check_clock(vault: Vault, db: sqlite3.Connection, today: datetime, confirmed: bool) -> None:
    """Refuse a clock that jumped; otherwise note its time. A record's own time counts before the first note.

    Later it does not: what is saved while the clock is wrong must not confirm it.
    """
    time = to_milliseconds(today)
    noted = db.execute("SELECT value FROM about WHERE name = ?", (CLOCK,)).fetchone()
    last = _newest(db) if noted is None else int(noted["value"])
    if last is not None and time - last > _FAR / timedelta(milliseconds=1) and not confirmed:
        raise ClockJump(
            f"The clock says {today:%Y-%m-%d}, but the store was last in use on {to_iso(last)[:10]};"
            " nothing was removed",
            where=vault.database.path,
            remedy="Set the clock; if it is right: fl-client expire --clock-is-right",
        )
    db.execute("INSERT OR REPLACE INTO about VALUES (?, ?)", (CLOCK, str(time).encode()))


def _newest(db: sqlite3.Connection) -> int | None:
    """The time of the newest record, if there is any."""
    newest: int | None = db.execute(
        "SELECT max(time) FROM (SELECT max(made) AS time FROM diagnoses UNION ALL"
        " SELECT max(made) FROM quarantine UNION ALL SELECT max(time) FROM events)"
    ).fetchone()[0]
    return newest


def check_ids(vault: Vault, *ids: str) -> None:
    """Refuse ids without a diagnosis; one whose row is damaged can be forgotten too.

    Raises:
        Refused: there is no such diagnosis (404), or it was forgotten (410).
    """
    with vault.database.reading() as db:
        for id in ids:
            find_row(db, id)


def forget(vault: Vault, *ids: str) -> None:
    """Remove diagnoses and all that belongs to them, for good; only their ids and the time stay.

    Raises:
        Refused: there is no such diagnosis (404), or it was forgotten (410); then none is removed.
        StorageError: the disk fails.
    """
    with vault.database.writing() as db:
        for id in ids:
            find_row(db, id)
            db.execute("DELETE FROM events WHERE diagnosis = ?", (id,))
            db.execute("DELETE FROM diagnoses WHERE id = ?", (id,))
            db.execute("INSERT INTO forgotten VALUES (?, ?)", (id, now()))
        note_traces(db)
    vault.files.remove(*ids)
    vault.database.erase_traces()


def _strip(vault: Vault, db: sqlite3.Connection, row: sqlite3.Row) -> None:
    db.execute(
        "UPDATE diagnoses SET content = ?, reference = NULL, pictures = 0 WHERE id = ?",
        (_stripped(vault, row), row["id"]),
    )
    db.execute("DELETE FROM events WHERE diagnosis = ? AND kind = ?", (row["id"], LESION))
    for opinion in db.execute(
        "SELECT * FROM events WHERE diagnosis = ? AND kind = ?", (row["id"], OPINION)
    ).fetchall():
        encrypted = _without_reason(vault, opinion)
        db.execute("UPDATE events SET content = ? WHERE number = ?", (encrypted, opinion["number"]))


def _stripped(vault: Vault, row: sqlite3.Row) -> bytes:
    """The content of a diagnosis without anything of the person; nothing of one that is damaged."""
    try:
        found = decrypt_diagnosis(vault, row)
        lesion = None if found.lesion is None else replace(found.lesion, outline=())
        stripped = replace(found, clinical=Clinical(), request=None, lesion=lesion)
    except StorageError as error:
        log.error("the diagnosis %s has expired as a whole: %s", row["id"], error)
        return _DAMAGED
    return encrypt_diagnosis(vault, stripped)


def _without_reason(vault: Vault, opinion: sqlite3.Row) -> bytes:
    context = (opinion["kind"], opinion["diagnosis"], str(opinion["time"]))
    try:
        content = {**decrypt_event(vault, opinion), "reason": ""}
    except StorageError as error:
        log.error("an opinion on %s has expired as a whole: %s", opinion["diagnosis"], error)
        return _DAMAGED
    return vault.cipher.encrypt_json(content, *context)
