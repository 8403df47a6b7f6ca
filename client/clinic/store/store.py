"""The clinic's store of diagnoses, opinions and quarantined objects, as one object."""

from __future__ import annotations

import logging
from contextlib import ExitStack
from datetime import UTC, date, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from dermafed.client.clinic.diagnosis.diagnosis import Diagnosis
from dermafed.client.clinic.intake.receive import Received
from dermafed.client.clinic.store import diagnoses, impressions, opinions, quarantine, retention, review
from dermafed.client.clinic.store.diagnoses import decrypt_diagnosis, encode_lossless, encode_photograph
from dermafed.client.clinic.store.encryption import IMAGE, PREPARED
from dermafed.client.clinic.store.impressions import IMPRESSION, Impression
from dermafed.client.clinic.store.lesions import Lesions
from dermafed.client.clinic.store.opinions import (
    OPINION,
    VIEW,
    WITHDRAWAL,
    Opinion,
    View,
    add_event,
    events,
    events_between,
)
from dermafed.client.clinic.store.quarantine import Quarantined
from dermafed.client.clinic.store.review import PendingReview
from dermafed.client.clinic.store.vault import Vault, open_vault, to_iso
from dermafed.client.node.home import Home
from dermafed.client.node.reviewed import ReviewedRow, remove_reviewed
from dermafed.shared.errors import SettingsError
from dermafed.shared.imaging.decoding import decode_image

log = logging.getLogger("dermafed.store")


def open_store(home: Home, retention_days: int | None = None) -> Store:
    """Open a clinic's store, made at first use; what is too old is removed at once.

    Args:
        home: the clinic's folder.
        retention_days: how long diagnoses are stored; ``None``: nothing expires, for commands that only read.

    Raises:
        SettingsError: less than a day.
        StorageError: a part is missing or damaged, the key is another's, or the disk fails.
    """
    if retention_days is not None and retention_days < 1:
        raise SettingsError(
            "Diagnoses must be stored for at least a day", where="retention_days", remedy="Give 1 or more"
        )
    store = Store(open_vault(home.store), home.reviewed, retention_days)
    try:
        store.expire(datetime.now(UTC))
    except retention.ClockJump as jump:
        log.error("%s", jump)
    return store


class Store:
    """Diagnoses and all that belongs to them; any thread, and several processes, may use it.

    ``lesions`` has the lesions that images were assigned to.
    An unknown id raises :class:`Refused`: 404, or 410 if it was forgotten. Every failure of the disk raises
    :class:`dermafed.shared.errors.StorageError`, and changes nothing.
    """

    def __init__(self, vault: Vault, reviewed: Path, retention_days: int | None) -> None:
        self._vault, self._reviewed, self._days = vault, reviewed, retention_days
        self.lesions = Lesions(vault)
        self._database = ExitStack()
        self._database.enter_context(vault.database.stay_open())

    def close(self) -> None:
        """Close the database; a store that is used afterwards is only slower."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def find_request(self, device: str, request: str) -> Diagnosis | None:
        """The diagnosis of a sender's request, if there was one."""
        with self._vault.database.reading() as db:
            asked = self._vault.cipher.digest("request", device, request)
            row = db.execute("SELECT * FROM diagnoses WHERE asked = ?", (asked,)).fetchone()
        return None if row is None else decrypt_diagnosis(self._vault, row)

    def save(
        self,
        diagnosis: Diagnosis,
        received: Received,
        prepared: NDArray[np.uint8],
        photograph: bytes | None = None,
    ) -> Diagnosis:
        """Save a diagnosis and its image; both are on the disk when this returns.

        Args:
            diagnosis: of the image.
            received: the image, and what an answer in DICOM needs.
            prepared: what the network saw, RGB uint8 (S, S, 3).
            photograph: the image by :func:`dermafed.client.clinic.store.diagnoses.encode_photograph`, if it
                is encoded already: this takes longer than all else.

        Returns:
            The stored diagnosis: the earlier one where the device's request was saved before.
        """
        if photograph is None:
            photograph = encode_photograph(received.image)
        pictures = {IMAGE: photograph, PREPARED: encode_lossless(prepared)}
        return diagnoses.save(self._vault, diagnosis, received.reference, pictures)

    def load(self, id: str) -> Diagnosis:
        """A diagnosis; one that has expired comes without clinical data."""
        return diagnoses.load(self._vault, id)

    def list_day(self, day: date, limit: int | None = None, skip: int = 0) -> list[Diagnosis]:
        """The diagnoses of a day of the clinic's own clock, newest first: `limit` of them after `skip`."""
        return diagnoses.list_day(self._vault, day, limit, skip)

    def list_opinions_of_day(self, day: date) -> dict[str, list[Opinion]]:
        """The opinions on a day's diagnoses, oldest first, by the diagnosis' id."""
        with self._vault.database.reading() as db:
            found = events_between(self._vault, db, *diagnoses.times_of_day(day), OPINION, WITHDRAWAL)
        return {id: opinions.opinions_of(each) for id, each in found.items()}

    def list_impressions_of_day(self, day: date) -> dict[str, list[Impression]]:
        """The impressions of a day's images, oldest first, by the diagnosis' id."""
        with self._vault.database.reading() as db:
            found = events_between(self._vault, db, *diagnoses.times_of_day(day), IMPRESSION)
        return {id: impressions.impressions_of(each) for id, each in found.items()}

    def find_ids(self, start: str, limit: int = 20) -> list[str]:
        """The ids of diagnoses that start so, newest first, at most `limit`."""
        return diagnoses.find_ids(self._vault, start, limit)

    def list_damaged(self, day: date) -> list[str]:
        """The ids of a day's diagnoses that cannot be read, newest first."""
        return diagnoses.list_damaged(self._vault, day)

    def load_prepared(self, id: str) -> NDArray[np.uint8]:
        """What the network saw, RGB uint8 (S, S, 3), to the last bit; Refused (410) if it has expired."""
        return decode_image(diagnoses.load_encoded(self._vault, id, PREPARED), where=id)

    def load_image(self, id: str) -> NDArray[np.uint8]:
        """The image that came, RGB uint8 (H, W, 3), as its JPEG shows it; Refused (410) if it has expired."""
        return decode_image(diagnoses.load_encoded(self._vault, id, IMAGE), where=id)

    def load_reference(self, id: str) -> str | None:
        """What an answer in DICOM needs, if the image came so and has not expired."""
        return diagnoses.load_reference(self._vault, id)

    def add_view(self, id: str, who: str) -> None:
        """Save that somebody looked at a diagnosis."""
        with self._vault.database.writing() as db:
            add_event(self._vault, db, id, VIEW, {"who": who})

    def list_views(self, id: str) -> list[View]:
        """Who looked, oldest first."""
        with self._vault.database.reading() as db:
            return [View(each["who"], each["time"]) for each in events(self._vault, db, id, VIEW)]

    def add_impression(self, id: str, who: str, label: str | None) -> Impression:
        """Save a clinician's impression before the model's answer is shown; Refused (400) if there is one."""
        return impressions.add_impression(self._vault, id, who, label)

    def list_impressions(self, id: str) -> list[Impression]:
        """The impressions of an image, oldest first."""
        return impressions.list_impressions(self._vault, id)

    def add_opinion(self, id: str, opinion: Opinion) -> Opinion:
        """Save an opinion, and return it with its time; Refused (400) if it contradicts itself."""
        return opinions.add_opinion(self._vault, id, opinion)

    def withdraw_opinion(self, id: str, who: str) -> None:
        """Withdraw a clinician's opinion; Refused (404) if there is none that counts."""
        opinions.withdraw_opinion(self._vault, id, who)

    def list_opinions(self, id: str) -> list[Opinion]:
        """The opinions on a diagnosis, oldest first."""
        return opinions.list_opinions(self._vault, id)

    def list_pending(self) -> list[PendingReview]:
        """Disagreements and confirmed diagnoses that wait for review, oldest first."""
        return review.list_pending(self._vault)

    def accept(self, id: str, who: str, label: str | None = None) -> ReviewedRow:
        """Make a diagnosis a labelled record; see :func:`dermafed.client.clinic.store.review.accept`."""
        return review.accept(self._vault, self._reviewed, id, who, label)

    def reject(self, id: str, who: str) -> None:
        """Keep a diagnosis out of the training data, or take it out again."""
        review.reject(self._vault, self._reviewed, id, who)

    def expire(self, now: datetime, *, days: int | None = None, confirmed: bool = False) -> int:
        """Remove what is too old; returns the number of diagnoses and objects. To be called daily.

        Raises:
            ClockJump: the clock is far past what the store knows, and nobody has confirmed it.
        """
        days = days or self._days
        return 0 if days is None else retention.expire(self._vault, now, days, confirmed=confirmed)

    def forget(self, *ids: str) -> None:
        """Remove diagnoses and all that belongs to them, their training records included, for good."""
        retention.check_ids(self._vault, *ids)
        for id in ids:
            remove_reviewed(self._reviewed, id)
        retention.forget(self._vault, *ids)

    def list_forgotten(self) -> dict[str, str]:
        """The ids that were forgotten, each with the time, oldest first."""
        with self._vault.database.reading() as db:
            rows = db.execute("SELECT * FROM forgotten ORDER BY time, rowid").fetchall()
        return {row["id"]: to_iso(row["time"]) for row in rows}

    def quarantine(self, data: bytes, why: str, device: str) -> str:
        """Store an object that may show a name, encrypted and undiagnosed, until a person decides.

        Returns:
            Its id.
        """
        return quarantine.quarantine(self._vault, data, why, device)

    def list_quarantined(self) -> list[Quarantined]:
        """The objects that wait for a person, oldest first."""
        return quarantine.list_quarantined(self._vault)

    def load_quarantined(self, id: str) -> bytes:
        """An object as it came; Refused (404) if there is none."""
        return quarantine.load_quarantined(self._vault, id)

    def delete_quarantined(self, id: str) -> None:
        """Remove an object from quarantine, for good; Refused (404) if there is none."""
        quarantine.delete_quarantined(self._vault, id)
