"""Read a DICOM object: its pixels, age, sex and body site, and what its answer is filed by."""

from __future__ import annotations

import logging
import warnings
from io import BytesIO
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.filereader import read_dataset

from dermafed.client.clinic.intake.clinical import Clinical
from dermafed.client.clinic.intake.elements import (
    DEFLATED,
    IMPLICIT,
    join_fragments,
    malformed,
    select_elements,
    split_file,
)
from dermafed.client.clinic.intake.filing import TEXT_TAGS, filing_headers
from dermafed.client.clinic.intake.headers import PARSED, read_clinical_header, read_pixel_header, read_scale
from dermafed.client.clinic.intake.pixels import decode_jpeg, decode_native
from dermafed.client.clinic.intake.quality import Caution
from dermafed.client.clinic.intake.refusals import Refused

# Dermoscopic Photography, VL Photographic, Secondary Capture.
SOP_CLASSES = (
    "1.2.840.10008.5.1.4.1.1.77.1.7",
    "1.2.840.10008.5.1.4.1.1.77.1.4",
    "1.2.840.10008.5.1.4.1.1.7",
)
# Implicit, explicit and deflated little endian.
NATIVE_SYNTAXES = (IMPLICIT, "1.2.840.10008.1.2.1", DEFLATED)
# JPEG baseline, extended (of 8 bits) and lossless.
JPEG_SYNTAXES = (
    "1.2.840.10008.1.2.4.50",
    "1.2.840.10008.1.2.4.51",
    "1.2.840.10008.1.2.4.57",
    "1.2.840.10008.1.2.4.70",
)
TRANSFER_SYNTAXES = NATIVE_SYNTAXES + JPEG_SYNTAXES

# pydicom repeats values, which may name a patient, in what it warns of and logs.
logging.getLogger("pydicom").setLevel(logging.CRITICAL)
warnings.filterwarnings("ignore", module=r"pydicom(\.|$)")


class DicomImage(NamedTuple):
    """The picture of a DICOM object, and what is known of it.

    Attributes:
        image: RGB uint8 (H, W, 3).
        cautions: what makes its diagnosis less sure.
        clinical: age, sex and body site as its header gives them.
        headers: what an answer is filed by, as a JSON text in DICOM's JSON model.
        mm_per_pixel: the scale, if the header states one that can be.
    """

    image: NDArray[np.uint8]
    cautions: tuple[Caution, ...]
    clinical: Clinical
    headers: str
    mm_per_pixel: float | None


def read_dicom(data: bytes) -> DicomImage:
    """Decode a DICOM file; only the elements of :mod:`dermafed.client.clinic.intake.headers` are ever parsed.

    Args:
        data: the whole file, with its preamble.

    Raises:
        Refused: it cannot be used; ``docs/bad-input.md`` lists why.
    """
    syntax, encoded = split_file(data)
    _check_syntax(syntax)
    implicit = syntax == IMPLICIT
    selected = select_elements(encoded, PARSED, TEXT_TAGS, explicit=not implicit)
    try:
        dataset = read_dataset(BytesIO(selected.encoded), implicit, True)
        headers, unfiled = filing_headers(dataset, selected.too_long)
        _check_class(dataset)
        header, clinical = read_pixel_header(dataset), read_clinical_header(dataset)
        scale = read_scale(dataset)
    except Refused:
        raise
    except Exception:  # pydicom converts a value when it is first read, and raises whatever it meets
        raise malformed() from None
    if syntax in JPEG_SYNTAXES:
        image, cautions = decode_jpeg(header, join_fragments(selected.pixels))
    else:
        image, cautions = decode_native(header, selected.pixels)
    return DicomImage(image, (*cautions, *unfiled), clinical, headers, scale)


def _check_class(dataset: Dataset) -> None:
    if str(dataset.get("SOPClassUID", "")) not in SOP_CLASSES:
        what = "This kind of DICOM object is not accepted"
        remedy = "Send dermoscopic photography, VL photographic or secondary capture objects"
        raise Refused("sop-class", what, where="image", remedy=remedy)


def _check_syntax(syntax: str) -> None:
    if syntax not in TRANSFER_SYNTAXES:
        what = "This transfer syntax is not accepted"
        remedy = "Send little endian, plain or deflated, or JPEG baseline, extended or lossless"
        raise Refused("transfer-syntax", what, where="image", remedy=remedy)
