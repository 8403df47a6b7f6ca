"""Save diagnoses with their images, and load them again."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dermafed.client.clinic.diagnosis.diagnosis import Diagnosis
from dermafed.client.clinic.store.vault import Vault, find_row, gone, to_milliseconds
from dermafed.shared.errors import StorageError

_DIAGNOSIS, _REFERENCE = "diagnosis", "reference"

log = logging.getLogger("dermafed.store")

JPEG, PNG = ".jpg", ".png"
_QUALITY = 95
_LARGEST_SIDE = 65_500  # of a JPEG


def save(
    vault: Vault, diagnosis: Diagnosis, reference: str | None, pictures: Mapping[str, bytes]
) -> Diagnosis:
    """Save a diagnosis and its encoded pictures, by kind; returns the earlier one if its request was saved.

    In one transaction its files are on the disk before its row is: at any moment there is either the whole
    diagnosis, or half written files that no row knows.

    Raises:
        StorageError: it cannot be saved; then nothing of it is.
    """
    row = _row_of(vault, diagnosis, reference)
    is_new = False
    try:
        with vault.database.writing() as db:
            earlier = db.execute("SELECT * FROM diagnoses WHERE id = :id OR asked = :asked", row).fetchone()
            if is_new := earlier is None:
                vault.files.write(diagnosis.id, pictures)
                db.execute(
                    "INSERT INTO diagnoses (id, made, device, asked, content, reference)"
                    " VALUES (:id, :made, :device, :asked, :content, :reference)",
                    row,
                )
    except Exception:
        if is_new:
            vault.files.remove(diagnosis.id)
        raise
    if is_new:
        vault.files.settle(diagnosis.id)
    return diagnosis if is_new else decrypt_diagnosis(vault, earlier)


def load(vault: Vault, id: str) -> Diagnosis:
    """A diagnosis; raises Refused where there is none (404), or it was forgotten (410)."""
    with vault.database.reading() as db:
        return decrypt_diagnosis(vault, find_row(db, id))


def list_day(vault: Vault, day: date, limit: int | None, skip: int) -> list[Diagnosis]:
    """The diagnoses of a day of the clinic's own clock, newest first, but for the damaged ones."""
    rows = _rows_of_day(vault, day, limit, skip)
    return [found for _, found in decrypt_rows(vault, rows) if found is not None]


def list_damaged(vault: Vault, day: date) -> list[str]:
    """The ids of a day's diagnoses whose rows are damaged, newest first."""
    return [id for id, found in decrypt_rows(vault, _rows_of_day(vault, day, None, 0)) if found is None]


def find_ids(vault: Vault, start: str, limit: int) -> list[str]:
    """The ids that start so, newest first, at most `limit`.

    Args:
        vault: the store.
        start: hexadecimal digits.
        limit: at least 1.
    """
    with vault.database.reading() as db:
        query = "SELECT id FROM diagnoses WHERE substr(id, 1, ?) = ? ORDER BY made DESC LIMIT ?"
        return [row["id"] for row in db.execute(query, (len(start), start, limit))]


def times_of_day(day: date) -> tuple[int, int]:
    """A day of the clinic's own clock, from and until, in milliseconds; both 0 where Python knows no end."""
    try:
        start, end = (
            to_milliseconds(datetime.combine(each, time()).astimezone()) for each in (day, day + timedelta(1))
        )
    except (OverflowError, ValueError):
        return 0, 0  # the first and the last day that Python knows
    return start, end


def _rows_of_day(vault: Vault, day: date, limit: int | None, skip: int) -> list[sqlite3.Row]:
    with vault.database.reading() as db:
        return db.execute(
            "SELECT * FROM diagnoses WHERE made >= ? AND made < ? ORDER BY made DESC, rowid DESC"
            " LIMIT ? OFFSET ?",
            (*times_of_day(day), -1 if limit is None else limit, skip),
        ).fetchall()


def decrypt_rows(vault: Vault, rows: Sequence[sqlite3.Row]) -> Iterator[tuple[str, Diagnosis | None]]:
    """The id of each row, with its diagnosis unless the row is damaged."""
    for row in rows:
        try:
            yield row["id"], decrypt_diagnosis(vault, row)
        except StorageError as error:
            log.error("the diagnosis %s is left out: %s", row["id"], error)
            yield row["id"], None


def load_encoded(vault: Vault, id: str, kind: str) -> bytes:
    """A picture of a diagnosis, encoded; raises Refused where there is none (404), or no longer (410)."""
    _check_pictures(vault, id)
    try:
        return vault.files.read(id, kind)
    except StorageError:
        _check_pictures(vault, id)  # it may have been forgotten in between
        raise


def load_reference(vault: Vault, id: str) -> str | None:
    """What an answer in DICOM needs, if the image came as DICOM and has not expired."""
    with vault.database.reading() as db:
        encrypted = find_row(db, id)["reference"]
    return None if encrypted is None else str(vault.decrypt_json(encrypted, _REFERENCE, id))


def decrypt_diagnosis(vault: Vault, row: sqlite3.Row) -> Diagnosis:
    """The diagnosis in a row of the database."""
    return Diagnosis.from_dict(vault.decrypt_json(row["content"], _DIAGNOSIS, row["id"]))


def encrypt_diagnosis(vault: Vault, diagnosis: Diagnosis) -> bytes:
    """A diagnosis as a row stores it."""
    return vault.cipher.encrypt_json(diagnosis.to_dict(), _DIAGNOSIS, diagnosis.id)


def _row_of(vault: Vault, diagnosis: Diagnosis, reference: str | None) -> dict[str, object]:
    asked, encrypted = None, None
    if diagnosis.request is not None:
        asked = vault.cipher.digest("request", diagnosis.device, diagnosis.request)
    if reference is not None:
        encrypted = vault.cipher.encrypt_json(reference, _REFERENCE, diagnosis.id)
    return {
        "id": diagnosis.id,
        "made": to_milliseconds(datetime.fromisoformat(diagnosis.time)),
        "device": diagnosis.device,
        "asked": asked,
        "content": encrypt_diagnosis(vault, diagnosis),
        "reference": encrypted,
    }


def _check_pictures(vault: Vault, id: str) -> None:
    with vault.database.reading() as db:
        if not find_row(db, id)["pictures"]:
            raise gone()


def encode_photograph(image: NDArray[np.uint8]) -> bytes:
    """An image, RGB uint8 (H, W, 3), as a JPEG of quality 95 without chroma subsampling.

    Of 6 megapixels: 40 ms and 2 MB; PNG would take half a second and 8 MB.
    """
    if max(image.shape) > _LARGEST_SIDE:
        return encode_lossless(image)
    file = BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=_QUALITY, subsampling=0)
    return file.getvalue()


def encode_lossless(image: NDArray[np.uint8]) -> bytes:
    """An image, RGB or RGBA uint8 (H, W, 3 or 4), as a PNG: every pixel comes back."""
    file = BytesIO()
    Image.fromarray(image).save(file, "PNG", compress_level=1)
    return file.getvalue()


def suffix_of(encoded: bytes) -> str:
    """``.jpg`` or ``.png``."""
    return JPEG if encoded.startswith(b"\xff\xd8") else PNG
