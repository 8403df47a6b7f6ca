"""An image that came in, made safe."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dermafed.client.clinic.intake.clinical import Clinical


@dataclass(frozen=True, slots=True)
class Caution:
    """Something about an image that makes its diagnosis less sure; it is shown, and stops nothing.

    Attributes:
        code: for machines: ``small``, ``blur``, ``dark``, ``bright``, ``gray``, ``ink``, ``ruler``, ``hair``
            or ``profile``.
        text: for people, a sentence.
    """

    code: str
    text: str


@dataclass(frozen=True, slots=True)
class Reference:
    """What an answer in DICOM needs to be filed beside its image; kept encrypted, and never logged.

    Attributes:
        headers: the patient's and the study's attributes as a JSON text in DICOM's JSON model.
    """

    headers: str


@dataclass(frozen=True, slots=True, eq=False)
class Received:
    """One image, decoded; of the file that came, only its digest is left.

    Attributes:
        image: RGB uint8 (H, W, 3), upright.
        sha256: of the bytes that came, 64 hexadecimal digits.
        clinical: what the sender told.
        cautions: what about the image makes its diagnosis less sure.
        reference: of a DICOM object, else ``None``.
    """

    image: NDArray[np.uint8]
    sha256: str
    clinical: Clinical
    cautions: tuple[Caution, ...] = ()
    reference: Reference | None = None
