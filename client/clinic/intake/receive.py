"""Receive an image, whichever way it comes: the only way from bytes to pixels.

A new way in (1) reads the bytes, the sender's name and, by ``read_clinical``, the clinical data;
(2) passes them to :func:`receive` with the store's ``quarantine``, then to ``DiagnosticService.diagnose``;
(3) answers ``Diagnosis.to_dict()`` or ``refusal_of`` what was raised. ``http/start.py`` starts and ends it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dermafed.client.clinic.intake.clinical import Clinical
from dermafed.client.clinic.intake.image import read_picture
from dermafed.client.clinic.intake.quality import Caution
from dermafed.client.clinic.intake.refusals import BURNED_IN, Refused

Quarantine = Callable[[bytes, str, str], object]
"""Saves a file that may show a name, from the file, the code of its refusal, and the device."""

_UNKNOWN = Clinical()


@dataclass(frozen=True, slots=True, eq=False)
class Received:
    """One image, decoded; of the file that came, only its digest is left.

    Attributes:
        image: RGB uint8 (H, W, 3), upright.
        sha256: of the bytes that came, 64 hexadecimal digits.
        clinical: the clinical data of the image.
        cautions: what about the image makes its diagnosis less sure.
        reference: of a DICOM object, the attributes of patient and study by which an answer is filed beside
            it, as a JSON text in DICOM's JSON model; stored encrypted, and never logged.
        mm_per_pixel: the scale, where a DICOM object or the device states it.
    """

    image: NDArray[np.uint8]
    sha256: str
    clinical: Clinical
    cautions: tuple[Caution, ...] = ()
    reference: str | None = None
    mm_per_pixel: float | None = None

    @property
    def width_mm(self) -> float | None:
        """The width of the image in millimetres, where its scale is known."""
        scale = self.mm_per_pixel
        return None if scale is None else round(scale * self.image.shape[1], 4)


def receive(
    data: bytes,
    clinical: Clinical = _UNKNOWN,
    *,
    device: str = "",
    quarantine: Quarantine | None = None,
    only_dicom: bool = False,
    mm_per_pixel: float | None = None,
) -> Received:
    """Decode an image file, and nothing else of it.

    Args:
        data: the whole file: a JPEG, a PNG, or a DICOM object with its preamble.
        clinical: the clinical data that the sender gives; if none, a DICOM object's header counts.
        device: who sends it.
        quarantine: saves a file with text burned into its pixels; without it, nothing is saved.
        only_dicom: whether a picture by itself is refused.
        mm_per_pixel: the scale that the sender gives; without it, a DICOM object's header counts.

    Raises:
        Refused: it cannot be used; ``docs/bad-input.md`` lists why.
        StorageError: it belongs in quarantine and cannot be saved there.
    """
    sha256 = hashlib.sha256(data).hexdigest()
    if not (only_dicom or is_dicom(data)):
        pixels, cautions = read_picture(data)
        return Received(pixels, sha256, clinical, cautions, mm_per_pixel=mm_per_pixel)
    from dermafed.client.clinic.intake.dicom import read_dicom

    try:
        found = read_dicom(data)
    except Refused as refused:
        if refused.code == BURNED_IN and quarantine is not None:
            quarantine(data, refused.code, device)
        raise
    known = found.clinical if clinical == _UNKNOWN else clinical
    scale = found.mm_per_pixel if mm_per_pixel is None else mm_per_pixel
    return Received(found.image, sha256, known, found.cautions, found.headers, scale)


def is_dicom(data: bytes) -> bool:
    """Whether a file says that it is a DICOM object (PS3.10, 7.1)."""
    return data[128:132] == b"DICM"
