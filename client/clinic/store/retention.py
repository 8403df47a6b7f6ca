"""Remove what is stored: after so many days, or at once."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from datetime import datetime, timedelta

from dermafed.client.clinic.intake.clinical import Clinical
from dermafed.client.clinic.store.diagnoses import decrypt_diagnosis, encrypt_diagnosis
from dermafed.client.clinic.store.opinions import OPINION, decrypt_event
from dermafed.client.clinic.store.vault import Vault, find_row, note_traces, now, to_milliseconds


def expire(vault: Vault, today: datetime, days: int) -> int:
    """Remove the pictures, references, clinical data, requests and reasons older than so many days.

    What remains of a diagnosis is what was answered, when, to which device, of which image by its digest, by
    which model, and who agreed: the account of the model's work, without anything of the person.
    Quarantined objects go as a whole.

    Returns:
        How many diagnoses and quarantined objects.

    Raises:
        StorageError: the disk fails.
    """
    limit = to_milliseconds(today - timedelta(days))
    with vault.database.writing() as db:
        rows = db.execute("SELECT * FROM diagnoses WHERE made < ? AND pictures", (limit,)).fetchall()
        objects = db.execute("SELECT id FROM quarantine WHERE made < ?", (limit,)).fetchall()
        for row in rows:
            _strip(vault, db, row)
        db.execute("DELETE FROM quarantine WHERE made < ?", (limit,))
        if rows or objects:
            note_traces(db)
    vault.files.remove(*(row["id"] for row in (*rows, *objects)))
    vault.database.erase_traces()
    return len(rows) + len(objects)


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
    stripped = replace(decrypt_diagnosis(vault, row), clinical=Clinical(), request=None)
    db.execute(
        "UPDATE diagnoses SET content = ?, reference = NULL, pictures = 0 WHERE id = ?",
        (encrypt_diagnosis(vault, stripped), row["id"]),
    )
    for opinion in db.execute(
        "SELECT * FROM events WHERE diagnosis = ? AND kind = ?", (row["id"], OPINION)
    ).fetchall():
        context = (opinion["kind"], opinion["diagnosis"], str(opinion["time"]))
        encrypted = vault.cipher.encrypt_json({**decrypt_event(vault, opinion), "reason": ""}, *context)
        db.execute("UPDATE events SET content = ? WHERE number = ?", (encrypted, opinion["number"]))
