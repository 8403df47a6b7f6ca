"""A DICOM object from outside becomes pixels, age, sex and body site, and what its answer is filed by."""

from __future__ import annotations

import hashlib
import logging
import warnings
from io import BytesIO

from pydicom import Dataset
from pydicom.filereader import read_dataset

from dermafed.client.clinic.intake.elements import (
    DEFLATED,
    IMPLICIT,
    MAX_BYTES,
    join_fragments,
    keep_elements,
    malformed,
    split_file,
    too_large,
)
from dermafed.client.clinic.intake.headers import (
    KEPT,
    read_clinical_header,
    read_pixel_header,
    read_reference,
)
from dermafed.client.clinic.intake.pixels import decode_jpeg, decode_native
from dermafed.client.clinic.intake.received import Received
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


def receive_dicom(data: bytes) -> Received:
    """Takes in a DICOM file.

    Only the elements of :mod:`dermafed.client.clinic.intake.headers` are ever parsed.

    Args:
        data: the whole file, with its preamble.

    Raises:
        Refused: it cannot be used; ``docs/bad-input.md`` lists why.
    """
    syntax, encoded = split_file(data)
    _check_syntax(syntax)
    implicit = syntax == IMPLICIT
    kept, pixels = keep_elements(encoded, KEPT, explicit=not implicit)
    try:
        dataset = read_dataset(BytesIO(kept), implicit, True)
    except Exception:  # pydicom raises whatever it meets
        raise malformed() from None
    return _receive(dataset, syntax, pixels, hashlib.sha256(data).hexdigest())


def receive_dataset(dataset: Dataset, sha256: str) -> Received:
    """Takes in a DICOM object that was parsed before; prefer :func:`receive_dicom` for what comes as bytes.

    Args:
        dataset: the object; its transfer syntax in its file meta information.
        sha256: of the bytes that came, 64 hexadecimal digits.

    Raises:
        Refused: it cannot be used.
    """
    try:
        syntax, pixels = str(dataset.file_meta.TransferSyntaxUID), bytes(dataset.get("PixelData", b""))
    except Exception:
        raise malformed() from None
    _check_syntax(syntax)
    if len(pixels) > MAX_BYTES:
        raise too_large()
    return _receive(dataset, syntax, memoryview(pixels), sha256)


def _receive(dataset: Dataset, syntax: str, pixels: memoryview, sha256: str) -> Received:
    try:
        kind = str(dataset.get("SOPClassUID", ""))
        if kind not in SOP_CLASSES:
            what = "This kind of DICOM object is not taken"
            remedy = "Send dermoscopic photography, VL photographic or secondary capture objects"
            raise Refused("sop-class", what, where="image", remedy=remedy)
        header, clinical = read_pixel_header(dataset), read_clinical_header(dataset)
        reference = read_reference(dataset)
    except Refused:
        raise
    except Exception:  # pydicom converts a value when it is first read, and raises whatever it meets
        raise malformed() from None
    if syntax in JPEG_SYNTAXES:
        image, cautions = decode_jpeg(header, join_fragments(pixels))
    else:
        image, cautions = decode_native(header, pixels)
    return Received(image, sha256, clinical, cautions, reference)


def _check_syntax(syntax: str) -> None:
    if syntax not in TRANSFER_SYNTAXES:
        what = "This transfer syntax is not taken"
        remedy = "Send little endian, plain or deflated, or JPEG baseline, extended or lossless"
        raise Refused("transfer-syntax", what, where="image", remedy=remedy)
