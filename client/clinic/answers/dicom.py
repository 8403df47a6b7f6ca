"""A diagnosis as DICOM files: the heatmap and the report, in the study of the image."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from io import BytesIO
from typing import Literal

from pydicom import Dataset

from dermafed.client.clinic.answers.secondary_capture import secondary_capture
from dermafed.client.clinic.answers.structured_report import structured_report
from dermafed.client.clinic.intake.receive import Reference
from dermafed.client.clinic.service import DiagnosticService
from dermafed.shared.explain.overlay import blend

Kind = Literal["sc", "sr"]
References = Callable[[str], Reference | None]


def answers(service: DiagnosticService, references: References, id: str) -> list[Dataset]:
    """The Secondary Capture and the structured report of a diagnosis.

    Args:
        service: has the diagnosis, and draws its heatmap.
        references: the store's ``reference``.
        id: the diagnosis.

    Raises:
        Refused: there is no such diagnosis (404), or its image is no longer kept (410).
    """
    return [answer(service, references, id, "sc"), answer(service, references, id, "sr")]


def answer(service: DiagnosticService, references: References, id: str, kind: Kind) -> Dataset:
    """One of :func:`answers`: ``sc`` or ``sr``."""
    diagnosis, reference = service.store.load(id), references(id)
    if kind == "sr":
        return structured_report(diagnosis, reference)
    overlay = blend(service.store.load_prepared(id), service.heatmap(id).heatmap)
    return secondary_capture(diagnosis, overlay, reference)


def dicom_body(
    service: DiagnosticService, references: References, id: str, kind: Kind | None = None
) -> tuple[bytes, str]:
    """What ``GET /v1/diagnoses/{id}/dicom`` answers: one object as a file, or both as parts of one body.

    Args:
        service: has the diagnosis, and draws its heatmap.
        references: the store's ``reference``.
        id: the diagnosis.
        kind: ``sc`` or ``sr``; both by default.

    Returns:
        The body, and its media type.

    Raises:
        Refused: see :func:`answers`.
    """
    if kind is not None:
        return to_file(answer(service, references, id, kind)), "application/dicom"
    return multipart_related([to_file(each) for each in answers(service, references, id)])


def to_file(dataset: Dataset) -> bytes:
    """A DICOM object as a file."""
    file = BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()


def multipart_related(files: Sequence[bytes]) -> tuple[bytes, str]:
    """DICOM files as one HTTP body, as DICOMweb sends them (PS3.18, 8.6.1.2).

    Returns:
        The body, and its media type.
    """
    boundary = uuid.uuid4().hex
    head = f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode()
    body = b"".join(head + file + b"\r\n" for file in files) + f"--{boundary}--\r\n".encode()
    return body, f'multipart/related; type="application/dicom"; boundary={boundary}'
