"""The clinic's store: one object for all that is asked of it."""

from __future__ import annotations

import uuid
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from dermafed.client.clinic.diagnosis.diagnosis import Diagnosis
from dermafed.client.clinic.intake.receive import Received, Reference
from dermafed.client.clinic.intake.refusals import Refused
from dermafed.client.clinic.store import diagnoses, retention, review
from dermafed.client.clinic.store import opinions as events
from dermafed.client.clinic.store.diagnoses import encode_exactly, encode_photograph
from dermafed.client.clinic.store.encryption import IMAGE, OBJECT, PREPARED
from dermafed.client.clinic.store.opinions import Look, Opinion
from dermafed.client.clinic.store.review import Waiting
from dermafed.client.clinic.store.vault import Vault, in_words, now, open_vault
from dermafed.client.node.home import Home
from dermafed.client.node.reviewed import ReviewedRow, remove_reviewed
from dermafed.shared.errors import SettingsError


def open_store(home: Home, retention_days: int | None = None) -> Store:
    """Open a clinic's store, made at first use; what is too old goes at once.

    Args:
        home: the clinic's folder.
        retention_days: how long diagnoses are kept; without, nothing expires: for commands that only look.

    Raises:
        SettingsError: less than a day.
        StorageError: a part is missing or damaged, the key is another's, or the disk fails.
    """
    if retention_days is not None and retention_days < 1:
        raise SettingsError("Diagnoses are kept for a day at least", where="retention_days", remedy="Give 1")
    store = Store(open_vault(home.store), home.reviewed, retention_days)
    store.expire(datetime.now(UTC))
    return store


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


class Store:
    """Diagnoses and all that belongs to them; any thread, and several processes, may use it.

    Every id that is not there raises :class:`Refused`: 404, or 410 if it was forgotten;
    every failure of the disk raises :class:`dermafed.shared.errors.StorageError`, and changes nothing.
    """

    def __init__(self, vault: Vault, reviewed: Path, retention_days: int | None) -> None:
        self._vault, self._reviewed, self._days = vault, reviewed, retention_days
        self._held = ExitStack()
        self._held.enter_context(vault.database.stay_open())

    def close(self) -> None:
        """Let go of the database; whoever goes on using the store only loses time."""
        self._held.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def find(self, device: str, request: str) -> Diagnosis | None:
        """The diagnosis of a sender's request, if there was one."""
        return diagnoses.find(self._vault, device, request)

    def keep(
        self,
        diagnosis: Diagnosis,
        received: Received,
        prepared: NDArray[np.uint8],
        photograph: bytes | None = None,
    ) -> Diagnosis:
        """Keep a diagnosis; see :class:`dermafed.client.clinic.diagnosis.keeping.Keeping`.

        Args:
            diagnosis: what was said.
            received: its image, and what an answer in DICOM needs.
            prepared: what the network saw, RGB uint8 (S, S, 3).
            photograph: the image by :func:`encode_photograph`, which takes the larger
                part of the time, if there was a thread for it while the model worked.
        """
        if photograph is None:
            photograph = encode_photograph(received.image)
        pictures = {IMAGE: photograph, PREPARED: encode_exactly(prepared)}
        return diagnoses.keep(self._vault, diagnosis, received.reference, pictures)

    def get(self, id: str) -> Diagnosis:
        """A diagnosis; one that has expired comes without clinical data."""
        return diagnoses.get(self._vault, id)

    def on_day(self, day: date, limit: int | None = None, skip: int = 0) -> list[Diagnosis]:
        """The diagnoses of a day of the clinic's own clock, the last first: `limit` after `skip` of them."""
        return diagnoses.on_day(self._vault, day, limit, skip)

    def prepared(self, id: str) -> NDArray[np.uint8]:
        """What the network saw, RGB uint8 (S, S, 3), to the last bit; Refused (410) if it has expired."""
        return diagnoses.picture(self._vault, id, PREPARED)

    def image(self, id: str) -> NDArray[np.uint8]:
        """The image that came, RGB uint8 (H, W, 3), as a JPEG keeps it; Refused (410) if it has expired."""
        return diagnoses.picture(self._vault, id, IMAGE)

    def reference(self, id: str) -> Reference | None:
        """What an answer in DICOM needs, if the image came so and has not expired."""
        return diagnoses.reference(self._vault, id)

    def looked(self, id: str, who: str) -> None:
        """Record that somebody looked at a diagnosis."""
        events.look(self._vault, id, who)

    def looks(self, id: str) -> list[Look]:
        """Who looked, the first first."""
        return events.looks(self._vault, id)

    def say(self, id: str, opinion: Opinion) -> Opinion:
        """Keep what a clinician says, and give it with its time; Refused (400) if it contradicts itself."""
        return events.say(self._vault, id, opinion)

    def opinions(self, id: str) -> list[Opinion]:
        """What clinicians said, the first first."""
        return events.opinions(self._vault, id)

    def waiting(self) -> list[Waiting]:
        """Disagreements and confirmed diagnoses that wait for review, the first first."""
        return review.waiting(self._vault)

    def accept(self, id: str, who: str, label: str | None = None) -> ReviewedRow:
        """Make a diagnosis a labelled record; see :func:`dermafed.client.clinic.store.review.accept`."""
        return review.accept(self._vault, self._reviewed, id, who, label)

    def reject(self, id: str, who: str) -> None:
        """Keep a diagnosis out of the training data, or take it out again."""
        review.reject(self._vault, self._reviewed, id, who)

    def expire(self, now: datetime) -> int:
        """Take away what is too old; gives the number of diagnoses and objects. To be called daily."""
        return 0 if self._days is None else retention.expire(self._vault, now, self._days)

    def forget(self, *ids: str) -> None:
        """Take away all that there is of diagnoses, for good, their training records included."""
        for id in ids:
            self.get(id)
        for id in ids:
            remove_reviewed(self._reviewed, id)
        retention.forget(self._vault, *ids)

    def forgotten(self) -> dict[str, str]:
        """The ids that were forgotten, each with the time, the first first."""
        return retention.forgotten(self._vault)

    def quarantine(self, data: bytes, why: str, device: str) -> str:
        """Store an object that may show a name, encrypted and undiagnosed, until a person decides.

        Returns:
            Its id.
        """
        id = uuid.uuid4().hex
        try:
            with self._vault.database.writing() as db:
                self._vault.files.write(id, {OBJECT: data})
                db.execute("INSERT INTO quarantine VALUES (?, ?, ?, ?)", (id, now(), device, why))
        except Exception:
            self._vault.files.remove(id)
            raise
        return id

    def quarantined(self) -> list[Quarantined]:
        """The objects that wait for a person, oldest first."""
        with self._vault.database.reading() as db:
            rows = db.execute("SELECT * FROM quarantine ORDER BY made, rowid").fetchall()
        return [Quarantined(row["id"], in_words(row["made"]), row["device"], row["why"]) for row in rows]

    def quarantined_object(self, id: str) -> bytes:
        """An object as it came."""
        if id not in {each.id for each in self.quarantined()}:
            raise _no_such_object()
        return self._vault.files.read(id, OBJECT)

    def drop(self, id: str) -> None:
        """Remove an object from quarantine, for good."""
        with self._vault.database.writing() as db:
            if not db.execute("DELETE FROM quarantine WHERE id = ?", (id,)).rowcount:
                raise _no_such_object()
        self._vault.files.remove(id)


def _no_such_object() -> Refused:
    return Refused("unknown", "There is no such object in quarantine", remedy="Check its id")
