"""Diagnose one DICOM instance from its bytes: the same for C-STORE and STOW-RS."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO

from pydicom.filereader import read_dataset

from dermafed.client.clinic.diagnosis.diagnosis import Diagnosis
from dermafed.client.clinic.intake.filing import read_uids
from dermafed.client.clinic.intake.receive import receive
from dermafed.client.clinic.intake.refusals import Refused
from dermafed.client.clinic.service import DiagnosticService

UIDs = tuple[str, str]
"""An instance's SOP class UID and SOP instance UID."""

_HEAD = 132  # preamble and magic word
_META = 8192  # bytes; the UIDs stand at the front of the file


def diagnose_instance(
    service: DiagnosticService, data: bytes, device: str, announced: Mapping[str, str]
) -> tuple[UIDs, Diagnosis]:
    """Diagnose an instance; the diagnosis is on the disk when this returns.

    Args:
        service: diagnoses and saves.
        data: a whole DICOM file.
        device: who sent it.
        announced: UIDs that it must have, by keyword.

    Returns:
        Its UIDs, of which that of the instance is the name of the request, and its diagnosis.

    Raises:
        Refused: it cannot be used, or is not what was announced.
        StorageError: it could not be saved.
    """
    received = receive(data, device=device, quarantine=service.store.quarantine, only_dicom=True)
    assert received.reference is not None, "a DICOM object has a reference"
    found = read_uids(received.reference)
    if any(found.get(keyword) != uid for keyword, uid in announced.items()):
        what = "The object is not the one that was announced: a UID differs"
        raise Refused("uid-mismatch", what, where="image", remedy="Send it under its own UIDs")
    uids = (found["SOPClassUID"], found["SOPInstanceUID"])
    return uids, service.diagnose(received, device, uids[1])


def announced_uids(data: bytes) -> UIDs | None:
    """The UIDs in the file meta information; of a refused file they may be wrong."""
    try:
        front = BytesIO(data[_HEAD : _HEAD + _META])
        meta = read_dataset(front, False, True, stop_when=lambda tag, vr, length: tag.group != 2)
        return str(meta.MediaStorageSOPClassUID), str(meta.MediaStorageSOPInstanceUID)
    except Exception:  # pydicom raises whatever it meets
        return None
