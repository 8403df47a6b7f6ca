"""Small files as devices send them, and ways to damage them."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom import Dataset
from pydicom.datadict import dictionary_VR
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.tag import Tag
from pydicom.uid import ExplicitVRLittleEndian, JPEGBaseline8Bit

from dermafed.client.clinic.intake.elements import elements, split_file

DERMOSCOPIC = "1.2.840.10008.5.1.4.1.1.77.1.7"
SECRET = "Sauerkraut"  # whatever names a patient in these files; it must be found nowhere


def skin(height: int = 48, width: int = 64) -> NDArray[np.uint8]:
    """A brown blotch on skin, a little rough."""
    image = np.full((height, width, 3), (225, 185, 175), np.uint8)
    cv2.circle(image, (width // 2, height // 2), height // 4, (120, 75, 50), -1)
    rough = np.random.default_rng(0).integers(-8, 9, (height, width, 1))
    return np.clip(image + rough, 0, 255).astype(np.uint8)


def encode(image: Image.Image | NDArray[np.generic], kind: str, **options: object) -> bytes:
    stream = BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(stream, kind, **options)
    return stream.getvalue()


def jpeg(image: Image.Image | NDArray[np.generic] | None = None, **options: object) -> bytes:
    return encode(skin() if image is None else image, "JPEG", **{"quality": 95, **options})


def png(image: Image.Image | NDArray[np.generic] | None = None, **options: object) -> bytes:
    return encode(skin() if image is None else image, "PNG", **options)


def chunk(kind: bytes, body: bytes) -> bytes:
    """A PNG chunk."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def with_chunks(*chunks: bytes, data: bytes | None = None) -> bytes:
    """A PNG with chunks put behind its header."""
    data = png() if data is None else data
    return data[:33] + b"".join(chunks) + data[33:]


def with_segments(*segments: tuple[int, bytes], data: bytes | None = None) -> bytes:
    """A JPEG with segments put behind its first two bytes."""
    data = jpeg() if data is None else data
    encoded = [struct.pack(">BBH", 0xFF, kind, len(body) + 2) + body for kind, body in segments]
    return data[:2] + b"".join(encoded) + data[2:]


def without_jfif(data: bytes) -> bytes:
    """A JPEG without the marker that names its colours."""
    assert data[2:4] == b"\xff\xe0"
    return data[:2] + data[4 + int.from_bytes(data[4:6]) :]


def with_size(data: bytes, width: int, height: int) -> bytes:
    """A PNG whose header has another size."""
    return data[:8] + chunk(b"IHDR", struct.pack(">II", width, height) + data[24:29]) + data[33:]


def dataset(pixels: NDArray[np.generic] | None = None, **values: object) -> Dataset:
    """A dermoscopic picture as a DICOM object, not compressed unless `PixelData` says so."""
    pixels = skin() if pixels is None else pixels
    height, width = pixels.shape[:2]
    made = Dataset()
    made.SOPClassUID, made.SOPInstanceUID = DERMOSCOPIC, "1.2.3.1"
    made.StudyInstanceUID, made.SeriesInstanceUID = "1.2.3", "1.2.3.4"
    made.PatientName, made.PatientID, made.StudyDate = f"{SECRET}^Else", "4711", "20240310"
    made.Rows, made.Columns = height, width
    made.SamplesPerPixel = 1 if pixels.ndim == 2 else 3
    made.PhotometricInterpretation = "MONOCHROME2" if pixels.ndim == 2 else "RGB"
    if pixels.ndim == 3:
        made.PlanarConfiguration = 0
    made.BitsAllocated = made.BitsStored = 8 * pixels.itemsize
    made.HighBit, made.PixelRepresentation = made.BitsStored - 1, 0
    made.PixelData = pixels.tobytes() + bytes(pixels.nbytes % 2)
    made["PixelData"].VR = "OB"
    for keyword, value in values.items():
        setattr(made, keyword, value)
    return made


def dicom(made: Dataset | None = None, syntax: str = ExplicitVRLittleEndian, **values: object) -> bytes:
    """A DICOM file."""
    made = dataset(**values) if made is None else made  # type: ignore[arg-type]
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = syntax
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = made.SOPClassUID, "1.2.3.1"
    stream = BytesIO()
    file = FileDataset(stream, made, file_meta=meta, preamble=bytes(128))
    file.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def dicom_jpeg(data: bytes | None = None, syntax: str = JPEGBaseline8Bit, **values: object) -> bytes:
    """A DICOM file with a JPEG in it."""
    data = jpeg() if data is None else data
    made = dataset(**{"PhotometricInterpretation": "YBR_FULL_422", **values})  # type: ignore[arg-type]
    made.PixelData = encapsulate([data])
    made["PixelData"].is_undefined_length = True
    return dicom(made, syntax)


def with_elements(data: bytes, **values: bytes) -> bytes:
    """A DICOM file in which elements have these bytes, whatever they are."""
    _, encoded = split_file(data)
    found = {each.tag: bytes(encoded[each.start : each.end]) for each in elements(encoded, 0, explicit=True)}
    for keyword, value in values.items():
        tag, padded = Tag(keyword), value + b" " * (len(value) % 2)
        kind = dictionary_VR(tag).encode()
        found[tag] = struct.pack("<HH2sH", tag.group, tag.element, kind, len(padded)) + padded
    return data[: -len(encoded)] + b"".join(found[tag] for tag in sorted(found))
