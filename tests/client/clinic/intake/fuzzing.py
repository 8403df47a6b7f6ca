"""One execution of the intake on any bytes, and valid files to start from.

The first byte says which way in; the rest is what comes.
"""

from __future__ import annotations

import hashlib
import time
import zlib
from collections.abc import Callable

import numpy as np
from PIL import Image
from pydicom import Dataset
from pydicom.uid import JPEGLossless

from dermafed.client.clinic.intake.clinical import read_clinical
from dermafed.client.clinic.intake.elements import DEFLATED
from dermafed.client.clinic.intake.image import MIN_SIDE
from dermafed.client.clinic.intake.receive import Received, receive
from dermafed.client.clinic.intake.refusals import Refused
from tests.client.clinic.intake.lossless import lossless_jpeg
from tests.client.clinic.intake.sample_files import chunk, dicom, dicom_jpeg, jpeg, png, skin, with_chunks

SECONDS = 10  # of one core, at most, for one input


def take(data: bytes) -> str:
    """Passes it to the intake; returns ``received`` or the refusal's code.

    Raises:
        AssertionError: it is neither, or took too long.
    """
    start = time.process_time()
    enter, rest = WAYS[data[0] % len(WAYS) if data else 0], data[1:]
    refused = None
    try:
        outcome = enter(rest)
    except Refused as refusal:
        refused = refusal
    if refused is not None:
        assert refused.status in (400, 413, 415, 422)
        assert refused.what
        assert refused.remedy
        outcome = refused.code
    assert time.process_time() - start < SECONDS
    return outcome


def _image(data: bytes) -> str:
    return _right(receive(data), data)


def _png(data: bytes) -> str:
    """As a PNG whose checksums are right, else hardly any would be decoded."""
    parts, at = [png()[:8]], 0
    while at + 12 <= len(data):
        end = at + 8 + min(int.from_bytes(data[at : at + 4]), len(data) - at - 12)
        parts.append(chunk(data[at + 4 : at + 8], data[at + 8 : end]))
        at = end + 4
    return _image(b"".join(parts))


def _dicom(data: bytes) -> str:
    return _right(receive(data), data)


def _deflated(data: bytes) -> str:
    """As what a deflated DICOM file inflates to."""
    deflating = zlib.compressobj(1, wbits=-zlib.MAX_WBITS)
    return _dicom(_DEFLATED_HEAD + deflating.compress(data) + deflating.flush())


def _metadata(data: bytes) -> str:
    clinical, request = read_clinical(data)
    assert clinical.age is None or 0 <= clinical.age <= 90
    assert clinical.sex in (None, "female", "male")
    assert clinical.site is None or len(clinical.site) <= 64
    assert request is None or request.isascii()
    return "received"


def _right(received: Received, data: bytes) -> str:
    assert received.image.dtype == np.uint8
    assert received.image.shape[2:] == (3,)
    assert min(received.image.shape[:2]) >= MIN_SIDE
    assert received.sha256 == hashlib.sha256(data).hexdigest()
    return "received"


WAYS: tuple[Callable[[bytes], str], ...] = (_image, _png, _dicom, _deflated, _metadata)


def dataset_start(file: bytes) -> int:
    """Where the data set begins: behind the preamble and the file's own elements."""
    return 132 + 12 + int.from_bytes(file[140:144], "little")


_DEFLATED = dicom(syntax=DEFLATED)
_DEFLATED_HEAD = _DEFLATED[: dataset_start(_DEFLATED)]


def seeds() -> list[bytes]:
    """Valid files, small, one for each thing that the intake understands."""
    small = skin(32, 40)
    exif = Image.Exif()
    exif[0x112], exif[0x10F] = 6, "maker"
    palette = Image.fromarray(small).quantize(8)
    alpha = np.dstack([small, small[..., :1]])
    images = [
        jpeg(small, exif=exif, comment=b"a"),
        jpeg(small, progressive=True),
        jpeg(small[..., 0]),
        jpeg(Image.fromarray(small), icc_profile=b"profile"),
        png(small, exif=exif),
        png(palette, transparency=1),
        png(alpha),
        png(small[..., 0].astype(np.uint16) * 257),
        with_chunks(chunk(b"zTXt", b"a\0\0" + zlib.compress(b"b")), data=png(small)),
        with_chunks(chunk(b"iCCP", b"a\0\0" + zlib.compress(b"b" * 200)), data=png(small)),
    ]
    region = Dataset()
    region.CodeMeaning = "Back"
    clinical_elements = {"PatientAge": "054Y", "PatientSex": "F", "AnatomicRegionSequence": [region]}
    objects = [
        dicom(pixels=small, **clinical_elements),
        dicom(pixels=small, syntax="1.2.840.10008.1.2", PatientBirthDate="19700101"),
        dicom(pixels=small[..., 0], PhotometricInterpretation="MONOCHROME1"),
        dicom(pixels=small[..., 0].astype(np.uint16) * 16, BitsStored=12, HighBit=11),
        dicom_jpeg(jpeg(small), pixels=small, NumberOfFrames=1),
        dicom_jpeg(lossless_jpeg(small), JPEGLossless, pixels=small, PhotometricInterpretation="RGB"),
    ]
    whole = objects[0]
    texts = [b"{}", b'{"age": 54, "sex": "female", "site": "lower back", "request": "a-1:b.c"}']
    return [
        *(b"\0" + data for data in images),
        *(b"\1" + data[8:] for data in images[4:]),
        *(b"\2" + data for data in objects),
        b"\3" + whole[dataset_start(whole) :],
        *(b"\4" + data for data in texts),
    ]
