"""Objects that may show a name: stored encrypted and undiagnosed, until a person decides."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from dermafed.client.clinic.intake.refusals import Refused
from dermafed.client.clinic.store.encryption import OBJECT
from dermafed.client.clinic.store.vault import Vault, now, to_iso


@dataclass(frozen=True, slots=True)
class Quarantined:
    """An object that waits for a person.

    Attributes:
        id: a random UUID, 32 hexadecimal digits.
        time: when it came, ISO 8601 in UTC, to the millisecond.
        device: who sent it.
        why: the code of the refusal.
    """

    id: str
    time: str
    device: str
    why: str


def quarantine(vault: Vault, data: bytes, why: str, device: str) -> str:
    """Store an object; returns its id."""
    id = uuid.uuid4().hex
    try:
        with vault.database.writing() as db:
            vault.files.write(id, {OBJECT: data})
            db.execute("INSERT INTO quarantine VALUES (?, ?, ?, ?)", (id, now(), device, why))
    except Exception:
        vault.files.remove(id)
        raise
    vault.files.settle(id)
    return id


def list_quarantined(vault: Vault) -> list[Quarantined]:
    """The objects that wait for a person, oldest first."""
    with vault.database.reading() as db:
        rows = db.execute("SELECT * FROM quarantine ORDER BY made, rowid").fetchall()
    return [Quarantined(row["id"], to_iso(row["made"]), row["device"], row["why"]) for row in rows]


def load_quarantined(vault: Vault, id: str) -> bytes:
    """An object as it came; Refused (404) if there is none."""
    if id not in {each.id for each in list_quarantined(vault)}:
        raise _no_such_object()
    return vault.files.read(id, OBJECT)


def delete_quarantined(vault: Vault, id: str) -> None:
    """Remove an object for good, its row last, since it leaves no trace; Refused (404) if there is none."""
    with vault.database.writing() as db:
        if not db.execute("DELETE FROM quarantine WHERE id = ?", (id,)).rowcount:
            raise _no_such_object()
        vault.files.remove(id)


def _no_such_object() -> Refused:
    return Refused("unknown", "There is no such object in quarantine", remedy="Check its id")
