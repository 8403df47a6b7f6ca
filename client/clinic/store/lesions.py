"""The lesions of the clinic: a number that is no one's name, and the images that were assigned to it.

The number is an encrypted event of a diagnosis, so stores without numbers need no change.
"""

from __future__ import annotations

import logging
import re
import sqlite3
from datetime import date

from dermafed.client.clinic.diagnosis.diagnosis import Diagnosis
from dermafed.client.clinic.intake.refusals import Refused
from dermafed.client.clinic.store.diagnoses import decrypt_rows, times_of_day
from dermafed.client.clinic.store.opinions import add_event, decrypt_event, events, events_between
from dermafed.client.clinic.store.vault import Vault
from dermafed.shared.errors import StorageError

LESION = "lesion"
"""The kind of the event."""
LATEST = "lesions"
"""Name of the latest number, in ``about``: none is given twice, also after its images were removed."""

_WRITTEN = re.compile(r"(?:L[ -]?)?0*([1-9][0-9]{0,8})", re.ASCII | re.IGNORECASE)

log = logging.getLogger("dermafed.store")


def read_lesion(text: str) -> str | None:
    """The number that somebody wrote, as the page writes it; ``None`` if it is none.

    Example:
        ``42``, ``l42`` and ``L-0042`` are ``L-0042``.
    """
    found = _WRITTEN.fullmatch(text.strip())
    return None if found is None else _write(int(found[1]))


def _write(number: int) -> str:
    return f"L-{number:04d}"


class Lesions:
    """Which image shows which lesion; every assignment is an event, and of a diagnosis the latest counts."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    def assign(self, id: str, who: str, lesion: str | None = None) -> str:
        """Assign an image to a lesion, by default to a new one; returns the lesion's number.

        Args:
            id: of the diagnosis.
            who: the clinician, by the name of the token.
            lesion: its number, as :func:`read_lesion` writes it.

        Raises:
            Refused: there is no such lesion or diagnosis (404), or that was forgotten (410).
        """
        with self._vault.database.writing() as db:
            number = _latest(db) + 1 if lesion is None else _check_given(db, lesion)
            add_event(self._vault, db, id, LESION, {"who": who, "lesion": _write(number)})
            raise_latest(db, number)
        return _write(number)

    def take_out(self, id: str, who: str) -> None:
        """Let an image be of no lesion; raises Refused where there is no such diagnosis (404, 410)."""
        with self._vault.database.writing() as db:
            add_event(self._vault, db, id, LESION, {"who": who, "lesion": None})

    def lesion_of(self, id: str) -> str | None:
        """The lesion of an image, if it was assigned to one."""
        with self._vault.database.reading() as db:
            found = events(self._vault, db, id, LESION)
        return found[-1]["lesion"] if found else None

    def of_day(self, day: date) -> dict[str, str]:
        """The lesions of a day's images, by the diagnosis' id, without those that have none."""
        with self._vault.database.reading() as db:
            found = events_between(self._vault, db, *times_of_day(day), LESION)
        return {id: each[-1]["lesion"] for id, each in found.items() if each[-1]["lesion"]}

    def check(self, lesion: str) -> None:
        """Raise Refused (404) unless this number was given."""
        with self._vault.database.reading() as db:
            _check_given(db, lesion)

    def images(self, lesion: str) -> list[Diagnosis]:
        """The diagnoses of a lesion's images, oldest first, but for damaged ones.

        It reads all assignments: 10,000 take some 0.3 s.

        Raises:
            Refused: there is no such lesion (404).
        """
        with self._vault.database.reading() as db:
            _check_given(db, lesion)
            latest: dict[str, str | None] = {}
            for row in db.execute("SELECT * FROM events WHERE kind = ? ORDER BY number", (LESION,)):
                latest[row["diagnosis"]] = self._read(row)
            ids = [id for id, each in latest.items() if each == lesion]
            rows = [db.execute("SELECT * FROM diagnoses WHERE id = ?", (id,)).fetchone() for id in ids]
        rows.sort(key=lambda row: row["made"])
        return [made for _, made in decrypt_rows(self._vault, rows) if made is not None]

    def _read(self, row: sqlite3.Row) -> str | None:
        try:
            lesion: str | None = decrypt_event(self._vault, row)["lesion"]
        except StorageError as error:
            log.error("the lesion of %s is left out: %s", row["diagnosis"], error)
            return None
        return lesion


def _latest(db: sqlite3.Connection) -> int:
    row = db.execute("SELECT value FROM about WHERE name = ?", (LATEST,)).fetchone()
    return 0 if row is None else int(row["value"])


def raise_latest(db: sqlite3.Connection, number: int) -> None:
    """Give no number again up to this one."""
    if number > _latest(db):
        db.execute("INSERT OR REPLACE INTO about VALUES (?, ?)", (LATEST, str(number).encode()))


def _check_given(db: sqlite3.Connection, lesion: str) -> int:
    number = int(lesion.removeprefix("L-"))
    if number > _latest(db):
        raise Refused("unknown", "There is no such lesion", where="lesion", remedy="Check its number")
    return number
