"""Read a DICOM object's headers; whatever is not named here is never parsed, and never stored."""

from __future__ import annotations

import re
from datetime import date

from pydicom import Dataset
from pydicom.datadict import tag_for_keyword

from dermafed.client.clinic.intake.clinical import MAX_AGE, OLDEST, Clinical, is_body_site
from dermafed.client.clinic.intake.elements import malformed
from dermafed.client.clinic.intake.filing import CHARACTER_SET, TEXTS, UIDS, declared_encodings
from dermafed.client.clinic.intake.image import wrong_depth
from dermafed.client.clinic.intake.pixels import SAMPLES, PixelHeader, wrong_colours
from dermafed.client.clinic.intake.refusals import Refused
from dermafed.shared.lesions.clinical_values import read_body_site

_CLINICAL = ["PatientAge", "ContentDate", "AcquisitionDateTime", "AnatomicRegionSequence", "BodyPartExamined"]
_PIXELS = [
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "PlanarConfiguration",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "BurnedInAnnotation",
    "PixelSpacing",
]
PARSED = frozenset(
    tag
    for keyword in [CHARACTER_SET, *UIDS, *TEXTS, *_CLINICAL, *_PIXELS]
    if (tag := tag_for_keyword(keyword))
)

_WIDEST = 50.0  # mm: no dermatoscope sees more; a larger picture has the scale of a page or of a screen
_UNEQUAL = 0.01  # of rows and columns

_DAY = re.compile(r"(\d{4})(\d{2})(\d{2})[0-9.]*([+-]\d{4})?", re.ASCII)  # of a date, or of a date and time
_AGE = re.compile(r"([0-9]{3})([DWMY])")
_IN_A_YEAR = {"D": 365, "W": 52, "M": 12, "Y": 1}


def read_pixel_header(dataset: Dataset) -> PixelHeader:
    """Read the attributes that describe the pixels.

    Raises:
        Refused: a required attribute is missing, or its value is not accepted.
    """
    if str(dataset.get("BurnedInAnnotation", "")).strip().upper() == "YES":
        what = "The picture is marked as having text burned into it"
        remedy = "Send the picture without the text: it may name the patient"
        raise Refused("burned-in", what, where="image", remedy=remedy)
    _check_frames(_number(dataset, "NumberOfFrames", 1))
    photometric = str(dataset.get("PhotometricInterpretation", "")).strip()
    if SAMPLES.get(photometric) != _number(dataset, "SamplesPerPixel"):
        raise wrong_colours()
    allocated, stored = _number(dataset, "BitsAllocated"), _number(dataset, "BitsStored")
    wide = allocated == 16 and 8 <= stored <= 16 and SAMPLES[photometric] == 1
    plain = allocated == stored == 8
    last = _number(dataset, "HighBit", stored - 1)
    if not (wide or plain) or last != stored - 1 or _number(dataset, "PixelRepresentation", 0):
        raise wrong_depth("The pixels are not of 8 bits, or up to 16 in gray, without sign")
    planar = _number(dataset, "PlanarConfiguration", 0)
    rows, columns = _number(dataset, "Rows"), _number(dataset, "Columns")
    return PixelHeader(
        rows, columns, photometric, allocated, stored, planar == 1 and SAMPLES[photometric] == 3
    )


def _check_frames(frames: int) -> None:
    if frames > 1:
        remedy = "Send one picture at a time"
        raise Refused("several-frames", "The object has several pictures", where="image", remedy=remedy)
    if frames < 1:
        what = "The object has no picture: its NumberOfFrames is below 1"
        raise Refused("dicom-malformed", what, where="image", remedy="Export it again, with NumberOfFrames 1")


def read_clinical_header(dataset: Dataset) -> Clinical:
    """Read age, sex and body site from the header's standard attributes."""
    sex = {"F": "female", "M": "male"}.get(str(dataset.get("PatientSex", "")).strip().upper())
    return Clinical(_age(dataset), sex, _site(dataset))


def read_scale(dataset: Dataset) -> float | None:
    """Read the millimetres of a pixel, where they are stated, equal for both sides, and can be true."""
    try:
        down, across = map(float, dataset.PixelSpacing)
        longest = max(int(dataset.Rows), int(dataset.Columns))
    except Exception:  # absent, or not two numbers: then there is no scale
        return None
    if not (0 < across * longest <= _WIDEST and abs(down / across - 1) <= _UNEQUAL):
        return None
    return (down + across) / 2


def _number(dataset: Dataset, keyword: str, default: int | None = None) -> int:
    value = dataset.get(keyword)
    if value is None and default is not None:
        return default
    if not isinstance(value, int):
        raise malformed()
    return int(value)


def _age(dataset: Dataset) -> int | None:
    """Whole years, 90 from 90 on."""
    age = _AGE.fullmatch(str(dataset.get("PatientAge", "")).strip())
    if age:
        years = int(age[1]) // _IN_A_YEAR[age[2]]
        return min(years, OLDEST) if years <= MAX_AGE else None
    born = _date(dataset.get("PatientBirthDate"))
    keywords = ("StudyDate", "ContentDate", "AcquisitionDateTime")
    then = next((day for keyword in keywords if (day := _date(dataset.get(keyword)))), None)
    if not born or not then:
        return None
    years = then.year - born.year - ((then.month, then.day) < (born.month, born.day))
    return min(years, OLDEST) if 0 <= years <= MAX_AGE else None


def _date(value: object) -> date | None:
    found = _DAY.fullmatch(str(value or "").strip())
    try:
        return date(int(found[1]), int(found[2]), int(found[3])) if found else None
    except ValueError:
        return None


def _site(dataset: Dataset) -> str | None:
    regions = dataset.get("AnatomicRegionSequence") or []
    named = str(regions[0].get("CodeMeaning", "")).strip() if len(regions) == 1 else ""
    if not named.isascii() and set(declared_encodings(dataset)) == {"ascii"}:
        named = ""  # of an unknown character set
    part = str(dataset.get("BodyPartExamined", "")).strip().lower()
    sites = map(read_body_site, (named, part))
    return next((site for site in sites if is_body_site(site)), None)
