"""Review of opinions: which diagnoses become training data, and with which label."""

from __future__ import annotations

import hashlib
import json
import logging
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dermafed.client.clinic.diagnosis.diagnosis import Diagnosis
from dermafed.client.clinic.store.diagnoses import decrypt_diagnosis, load_encoded, load_reference, suffix_of
from dermafed.client.clinic.store.encryption import IMAGE
from dermafed.client.clinic.store.lesions import Lesions
from dermafed.client.clinic.store.opinions import (
    OPINION,
    OTHER,
    REVIEW,
    WITHDRAWAL,
    Opinion,
    add_event,
    events,
    list_opinions,
)
from dermafed.client.clinic.store.vault import Vault, find_row
from dermafed.client.node.reviewed import ReviewedRow, add_reviewed, remove_reviewed
from dermafed.shared.errors import SettingsError, StorageError
from dermafed.shared.lesions.diagnoses import canonical, is_known

_PATIENT_ID = "00100020"  # DICOM's tag
_GROUP_DIGITS = 16

log = logging.getLogger("dermafed.store")


@dataclass(frozen=True, slots=True)
class PendingReview:
    """A diagnosis that waits for review.

    Attributes:
        diagnosis: of the model.
        opinions: of clinicians, oldest first.
        accepted: the label that it was accepted with before; ``None`` if it was not.
    """

    diagnosis: Diagnosis
    opinions: tuple[Opinion, ...]
    accepted: str | None = None

    @property
    def needs_review(self) -> bool:
        """Whether an opinion that counts is to be reviewed."""
        return any(each.needs_review for each in self.opinions)

    @property
    def label(self) -> str | None:
        """The class that all opinions to review agree on; ``None`` if they differ, or name "other"."""
        opinions = [each for each in self.opinions if each.needs_review]
        labels = {each.label or self.diagnosis.prediction for each in opinions}
        (label,) = labels if len(labels) == 1 else (OTHER,)
        return None if label == OTHER else label

    @property
    def confirmed_by(self) -> str | None:
        """How it was confirmed, by the newest opinion that says so."""
        counting = [each for each in reversed(self.opinions) if each.counts]
        return next((each.confirmed_by for each in counting if each.confirmed_by), None)


def list_pending(vault: Vault) -> list[PendingReview]:
    """Disagreements and confirmed diagnoses without a review since, whose image is stored; oldest first.

    So is one that was accepted, where nobody says so any more.
    One that cannot be read in full is left out: an opinion that is missing might change its label.
    """
    with vault.database.reading() as db:
        rows = db.execute(
            "SELECT * FROM diagnoses WHERE pictures AND id IN ("
            "SELECT diagnosis FROM events GROUP BY diagnosis"
            " HAVING max(number * (kind IN (?, ?))) > max(number * (kind = ?))"
            ") ORDER BY made, rowid",
            (OPINION, WITHDRAWAL, REVIEW),
        ).fetchall()
    found = list(_readable(vault, rows))
    return [each for each in found if each.needs_review or each.accepted]


def accept(vault: Vault, folder: Path, id: str, who: str, label: str | None = None) -> ReviewedRow:
    """Make a diagnosis a labelled record of the clinic's training data.

    Args:
        vault: the store.
        folder: of the clinic's reviewed records.
        id: of the diagnosis.
        who: the reviewer.
        label: its class; by default the one that clinicians agree on.

    Raises:
        Refused: there is no such diagnosis (404), or its image has expired (410).
        SettingsError: clinicians do not agree on a class, or the label is not known.
        DatasetError: the same image was accepted before.
        StorageError: the disk fails.
    """
    image = load_encoded(vault, id, IMAGE)
    with vault.database.writing() as db:
        found = _pending(vault, find_row(db, id))
        row = _row(vault, found, _checked(found, label), image)
        add_reviewed(folder, row, suffix_of(image), image)
        add_event(vault, db, id, REVIEW, {"who": who, "label": row.diagnosis})
    return row


def reject(vault: Vault, folder: Path, id: str, who: str) -> None:
    """Keep a diagnosis out of the training data; takes an accepted one out again.

    Raises:
        Refused: there is no such diagnosis (404), or it was forgotten (410).
        StorageError: the disk fails.
    """
    with vault.database.writing() as db:
        add_event(vault, db, id, REVIEW, {"who": who, "label": None})
        remove_reviewed(folder, id)


def _readable(vault: Vault, rows: Sequence[sqlite3.Row]) -> Iterator[PendingReview]:
    for row in rows:
        try:
            yield _pending(vault, row)
        except StorageError as error:
            log.error("the diagnosis %s is left out: %s", row["id"], error)


def _pending(vault: Vault, row: sqlite3.Row) -> PendingReview:
    with vault.database.reading() as db:
        reviews = events(vault, db, row["id"], REVIEW)
    accepted = reviews[-1]["label"] if reviews else None
    return PendingReview(decrypt_diagnosis(vault, row), tuple(list_opinions(vault, row["id"])), accepted)


def _checked(found: PendingReview, label: str | None) -> str:
    """A label that the clinic's next run can use; an unknown one would stop it."""
    chosen = label or found.label
    classes = tuple(found.diagnosis.probabilities)
    if chosen is None:
        raise SettingsError(
            "Clinicians do not agree on one of the model's classes",
            where=found.diagnosis.id,
            remedy=f"Choose with --label: {', '.join(classes)}, or another diagnosis",
        )
    if chosen not in classes and (canonical(chosen) == OTHER or not is_known(chosen)):
        raise SettingsError(
            f"{chosen!r} is not a diagnosis that a model can learn",
            where="label",
            remedy=f"Use one of {', '.join(classes)}, or another known diagnosis",
        )
    return chosen


def _row(vault: Vault, found: PendingReview, label: str, image: bytes) -> ReviewedRow:
    clinical = found.diagnosis.clinical
    known: Sequence[Any] = (clinical.age, clinical.sex, clinical.site)
    age, sex, site = ("" if value is None else str(value) for value in known)
    return ReviewedRow(
        image_id=found.diagnosis.id,
        lesion_id=hashlib.sha256(image).hexdigest()[:_GROUP_DIGITS],
        patient_id=_patient(vault, found.diagnosis.id),
        diagnosis=label,
        confirmed_by=found.confirmed_by or "",
        age=age,
        sex=sex,
        site=site,
    )


def _patient(vault: Vault, id: str) -> str:
    """A keyed digest of the patient's number in the DICOM headers, or else of the lesion's number.

    So no patient is on two sides, and no lesion.
    """
    field = json.loads(load_reference(vault, id) or "{}").get(_PATIENT_ID, {})
    number = "\\".join(map(str, field.get("Value", ()))) or field.get("InlineBinary", "")
    named = ("patient", number) if number else ("lesion", Lesions(vault).lesion_of(id) or "")
    return vault.cipher.digest(*named).hex()[:_GROUP_DIGITS] if named[1] else ""
