"""One DICOM object, from its bytes to a kept diagnosis: the same for C-STORE and STOW-RS."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO

from pydicom import Dataset
from pydicom.filereader import read_dataset

from dermafed.client.clinic.diagnosis.diagnosis import Diagnosis
from dermafed.client.clinic.intake.receive import Quarantine, Received, receive
from dermafed.client.clinic.intake.refusals import Refused
from dermafed.client.clinic.service import DiagnosticService

Name = tuple[str, str]
"""An object's SOP class and SOP instance UID."""

_HEAD = 132  # preamble and magic word
_META = 8192  # bytes; the names stand at the front of the file


@dataclass(frozen=True, slots=True)
class Gate:
    """Where objects come in.

    Attributes:
        service: diagnoses them.
        quarantine: keeps those that may show a name.
    """

    service: DiagnosticService
    quarantine: Quarantine

    def take_in(self, data: bytes, device: str, announced: Mapping[str, str]) -> tuple[Name, Diagnosis]:
        """Diagnoses an object; the diagnosis is on the disk when this returns.

        Args:
            data: a whole DICOM file.
            device: who sent it.
            announced: UIDs that it must have, by keyword.

        Returns:
            Its name, of which the instance is the name of the request, and its diagnosis.

        Raises:
            Refused: it cannot be used, or is not what was announced.
            StorageError: it could not be kept.
        """
        received = receive(data, device=device, quarantine=self.quarantine, only_dicom=True)
        named = _named(received)
        if any(named.get(keyword) != uid for keyword, uid in announced.items()):
            what = "The object is not the one that was announced: a UID differs"
            raise Refused("uid-mismatch", what, where="image", remedy="Send it under its own UIDs")
        name = (str(named.SOPClassUID), str(named.SOPInstanceUID))
        return name, self.service.diagnose(received, device, name[1])


def name_of(data: bytes) -> Name | None:
    """The name that the front of a file has; of a refused file it may be wrong."""
    try:
        front = BytesIO(data[_HEAD : _HEAD + _META])
        meta = read_dataset(front, False, True, stop_when=lambda tag, vr, length: tag.group != 2)
        return str(meta.MediaStorageSOPClassUID), str(meta.MediaStorageSOPInstanceUID)
    except Exception:  # pydicom raises whatever it meets
        return None


def _named(received: Received) -> Dataset:
    assert received.reference is not None, "a DICOM object has a reference"
    return Dataset.from_json(received.reference.headers)
