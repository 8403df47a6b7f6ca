"""Kinds of DICOM objects."""

from __future__ import annotations

import zlib

import numpy as np
from PIL import Image
from pydicom import Dataset
from pydicom.uid import JPEG2000Lossless, JPEGExtended12Bit

from dermafed.client.clinic.intake.elements import DEFLATED, MAX_BYTES, MAX_DEPTH, MAX_ELEMENTS
from tests.client.clinic.intake import kinds
from tests.client.clinic.intake.fuzzing import dataset_start
from tests.client.clinic.intake.image_kinds import exif, of_12_bits, with_scan
from tests.client.clinic.intake.kinds import dicom_taken
from tests.client.clinic.intake.sample_files import (
    SECRET,
    dataset,
    dicom,
    dicom_jpeg,
    jpeg,
    skin,
    with_elements,
    without_jfif,
)

GRAY = skin()[..., 0]
YBR = np.asarray(Image.fromarray(skin()).convert("YCbCr"))
GB = "王^小明".encode("gb2312")
AS_IT_CAME = "answers have it as it came"
LEFT_OUT = "answers are without it; caution `filing`"
UNDEFINED = b"\xff\xff\xff\xff"


def deflation_bomb() -> bytes:
    whole = dicom(syntax=DEFLATED)
    deflating = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    zeros = [deflating.compress(bytes(2**20)) for _ in range((MAX_BYTES >> 20) + 1)]
    return whole[: dataset_start(whole)] + b"".join(zeros) + deflating.flush()


def with_behind(element: bytes) -> bytes:
    """A file with elements put behind its last."""
    return dicom() + element


def deep(levels: int) -> bytes:
    return with_behind(
        b"\xe1\x7f\x10\0SQ\0\0"
        + UNDEFINED
        + (b"\xfe\xff\x00\xe0" + UNDEFINED + b"\x40\0\x11\x11SQ\0\0" + UNDEFINED) * levels
    )


def many() -> bytes:
    item = b"\xfe\xff\x00\xe0" + bytes(4)
    return with_behind(
        b"\xe1\x7f\x10\0SQ\0\0" + UNDEFINED + item * MAX_ELEMENTS + b"\xfe\xff\xdd\xe0" + bytes(4)
    )


def repeated() -> bytes:
    whole = dicom()
    return whole + whole[dataset_start(whole) :]


def big_endian() -> bytes:
    return dicom().replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.2\0")


def private() -> bytes:
    made = dataset()
    made.private_block(0x11, "ACME", create=True).add_new(1, "LO", SECRET)
    made.InstitutionName = made.PatientComments = SECRET
    return dicom(made)


def odd(**values: bytes) -> bytes:
    return with_elements(dicom(), **values)


def jpeg_of_12_bits() -> bytes:
    bits = {"BitsAllocated": 16, "BitsStored": 12, "HighBit": 11}
    return dicom_jpeg(
        of_12_bits(), JPEGExtended12Bit, pixels=GRAY, PhotometricInterpretation="MONOCHROME2", **bits
    )


def region(meaning: str) -> Dataset:
    item = Dataset()
    item.CodeMeaning = meaning
    return item


def kind(name: str, what: str, made: object, code: str, status: int = 422) -> kinds.Kind:
    make = made if callable(made) else lambda: made
    return kinds.dicom(f"dicom-{name}", what, make, code, status)


def taken(name: str, what: str, made: bytes, note: str) -> kinds.Kind:
    return dicom_taken(f"dicom-{name}", what, lambda: made, note)


STRUCTURE = [
    kind("no-preamble", "DICOM without preamble", dicom()[132:], "unsupported-type", 415),
    kind("jpeg", "a JPEG sent as DICOM", jpeg(), "unsupported-type", 415),
    kind("large", "DICOM larger than the limit", lambda: dicom() + bytes(MAX_BYTES), "too-large", 413),
    kind("cut", "DICOM cut short", dicom()[:-100], "dicom-malformed"),
    kind("deflation-bomb", "bomb in deflated DICOM", deflation_bomb, "too-large", 413),
    kind("deflation", "deflated DICOM, damaged", dicom(syntax=DEFLATED)[:-100], "dicom-malformed"),
    kind("deep", "sequences in sequences, very deep", deep(MAX_DEPTH + 1), "dicom-malformed"),
    kind("endless", "a sequence without end", deep(1), "dicom-malformed"),
    kind("many", "very many items", many, "dicom-malformed"),
    kind("repeated", "elements given twice", repeated, "dicom-malformed"),
    kind(
        "long-length",
        "an element longer than the file",
        with_behind(b"\xe1\x7f\x10\0OB\0\0\xfe" + bytes(3)),
        "dicom-malformed",
    ),
    kind("no-study", "no study", dicom(StudyInstanceUID=""), "dicom-malformed"),
    kind("big-endian", "big endian", big_endian(), "transfer-syntax", 415),
    kind("jpeg-2000", "JPEG 2000, RLE, video", dicom_jpeg(syntax=JPEG2000Lossless), "transfer-syntax", 415),
    kind(
        "class",
        "an object of another kind, such as CT",
        dicom(SOPClassUID="1.2.840.10008.5.1.4.1.1.2"),
        "sop-class",
        415,
    ),
]
PIXELS = [
    kind("rows", "wrong header: more rows than there are", dicom(Rows=49), "pixel-length"),
    kind("columns", "wrong header: fewer columns", dicom(Columns=63), "pixel-length"),
    kind("bomb", "wrong header: 65,535 x 65,535", dicom(Rows=65535, Columns=65535), "too-many-pixels"),
    kind("no-rows", "wrong header: no rows", dicom(Rows=None), "dicom-malformed"),
    kind("bits", "wrong header: 12 of 8 bits", dicom(BitsStored=12, HighBit=11), "bit-depth"),
    kind("signed", "signed pixels", dicom(pixels=GRAY, PixelRepresentation=1), "bit-depth"),
    kind("no-pixels", "no pixels", dicom(PixelData=b""), "pixel-length"),
    kind("no-frames", "no picture, as the header says", dicom(NumberOfFrames=0), "dicom-malformed"),
    kind(
        "jpeg-12",
        "a JPEG of 12 bits in DICOM",
        dicom_jpeg(of_12_bits(), pixels=GRAY, PhotometricInterpretation="MONOCHROME2"),
        "bit-depth",
    ),
    kind("frames", "several pictures in an object", dicom(NumberOfFrames=2), "several-frames"),
    kind(
        "palette", "a palette", dicom(pixels=GRAY, PhotometricInterpretation="PALETTE COLOR"), "photometric"
    ),
    kind("ybr-as-rgb", "wrong photometric interpretation: YBR called RGB", dicom(pixels=YBR), "photometric"),
    kind(
        "rgb-as-ybr",
        "wrong photometric interpretation: RGB called YBR",
        dicom(PhotometricInterpretation="YBR_FULL"),
        "photometric",
    ),
    kind("gray-as-rgb", "wrong header: gray called RGB", dicom_jpeg(jpeg(GRAY)), "header-mismatch"),
    kind(
        "jpeg-unsure",
        "RGB in the header of a JPEG without colour markers",
        dicom_jpeg(without_jfif(jpeg(subsampling=0)), PhotometricInterpretation="RGB"),
        "photometric",
    ),
    kind("jpeg-rows", "wrong header: the JPEG is of another size", dicom_jpeg(Rows=24), "header-mismatch"),
    kind("jpeg-cut", "a JPEG cut short in DICOM", dicom_jpeg(jpeg()[:-300]), "damaged"),
    kind(
        "jpeg-zeroed",
        "a JPEG in DICOM with a block of its scan zeroed",
        dicom_jpeg(with_scan(lambda scan: scan[:200] + bytes(100) + scan[300:])),
        "damaged",
    ),
    kind("jpeg-none", "a JPEG syntax without a JPEG", dicom_jpeg(b"BM" + bytes(100)), "damaged"),
    kind("burned-in", "text burned in, as the header says", dicom(BurnedInAnnotation="YES"), "burned-in"),
]
ODD = [
    taken(
        "mono1",
        "MONOCHROME1",
        dicom(pixels=255 - GRAY, PhotometricInterpretation="MONOCHROME1"),
        "inverted; caution `gray`",
    ),
    taken(
        "gray-16",
        "12 bits in 16, gray",
        dicom(pixels=GRAY.astype(np.uint16) * 16, BitsStored=12, HighBit=11),
        "the high 8 bits",
    ),
    taken(
        "ybr-jpeg-as-rgb",
        "RGB in the header of a JPEG marked YCbCr",
        dicom_jpeg(PhotometricInterpretation="RGB"),
        "the JPEG's marker counts",
    ),
    taken("long-value", "a name of 10,000 characters", odd(PatientName=b"x" * 10_000), LEFT_OUT),
    taken("date", "an impossible date", odd(StudyDate=b"20240230"), LEFT_OUT),
    taken("date-range", "a range of dates", odd(StudyDate=b"20240101-20241231"), LEFT_OUT),
    taken("time", "an impossible time, or sex", odd(StudyTime=b"9am", PatientSex=b"Q"), LEFT_OUT),
    taken("control", "control characters in an id", odd(PatientID=b"a\nb"), AS_IT_CAME),
    taken("no-charset", "names of no declared character set", odd(PatientName=GB), AS_IT_CAME),
    taken(
        "charset",
        "names of an unknown or wrong character set",
        odd(PatientName=GB, SpecificCharacterSet=b"GB2312"),
        AS_IT_CAME,
    ),
    taken(
        "gb18030",
        "names in GB18030 and other declared character sets",
        odd(PatientName=GB, SpecificCharacterSet=b"GB18030"),
        "answers have them in UTF-8",
    ),
    taken("physicians", "two physicians", odd(ReferringPhysicianName=b"A^B\\C^D"), AS_IT_CAME),
    taken("backslash", "a backslash in an id", odd(PatientID=b"12\\34"), AS_IT_CAME),
    taken("long-id", "an id of 80 digits", odd(PatientID=b"1" * 80), AS_IT_CAME),
    taken("uid-zero", "a UID with leading zeros", odd(StudyInstanceUID=b"1.2.003"), AS_IT_CAME),
    taken("private", "names in private tags and comments", private(), "never parsed"),
    taken("exif", "names in the EXIF of a JPEG in DICOM", dicom_jpeg(jpeg(exif=exif())), "dropped"),
    taken("old", "a person older than 90", dicom(PatientAge="104Y"), "age 90"),
    taken(
        "site",
        "an impossible body site",
        dicom(AnatomicRegionSequence=[region("born 1.2.1950")]),
        "no body site",
    ),
]
DICOM_KINDS = STRUCTURE + PIXELS + ODD
