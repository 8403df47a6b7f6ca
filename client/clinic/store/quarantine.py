"""Objects that may show a name in their pixels: kept sealed, never diagnosed, until a person decides."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from dermafed.client.clinic.intake.refusals import Refused
from dermafed.client.clinic.store.files import OBJECT
from dermafed.client.clinic.store.tables import in_words, now
from dermafed.client.clinic.store.vault import Vault


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
    """Keep an object as it came; gives its id."""
    id = uuid.uuid4().hex
    try:
        with vault.database.writing() as db:
            vault.files.write(id, {OBJECT: data})
            db.execute("INSERT INTO quarantine VALUES (?, ?, ?, ?)", (id, now(), device, why))
    except Exception:
        vault.files.remove(id)
        raise
    return id


def quarantined(vault: Vault) -> list[Quarantined]:
    """The objects that wait, the first first."""
    with vault.database.reading() as db:
        rows = db.execute("SELECT * FROM quarantine ORDER BY made, rowid").fetchall()
    return [Quarantined(row["id"], in_words(row["made"]), row["device"], row["why"]) for row in rows]


def quarantined_object(vault: Vault, id: str) -> bytes:
    """An object as it came; raises Refused (404) where there is none."""
    if id not in {each.id for each in quarantined(vault)}:
        raise _unknown()
    return vault.files.read(id, OBJECT)


def drop(vault: Vault, id: str) -> None:
    """Remove an object for good; raises Refused (404) where there is none."""
    with vault.database.writing() as db:
        if not db.execute("DELETE FROM quarantine WHERE id = ?", (id,)).rowcount:
            raise _unknown()
    vault.files.remove(id)


def _unknown() -> Refused:
    return Refused("unknown", "There is no such object in quarantine", remedy="Check its id")
