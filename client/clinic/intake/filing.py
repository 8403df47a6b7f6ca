"""The attributes of a DICOM object by which an answer is filed: passed on as they came, valid or not."""

from __future__ import annotations

import json
import logging
import re
from base64 import b64encode
from collections.abc import Collection, Sequence
from contextlib import suppress
from datetime import date
from typing import Any

from pydicom import Dataset
from pydicom.charset import python_encoding
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement, RawDataElement, convert_raw_data_element
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_data_element
from pydicom.multival import MultiValue
from pydicom.tag import Tag

from dermafed.client.clinic.intake.elements import malformed
from dermafed.client.clinic.intake.quality import Caution

log = logging.getLogger("dermafed.dicom")

UIDS = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")
# What an answer needs to be filed beside its image (PS3.3, C.7.1.1, C.7.2.1); without them it is still one.
TEXTS = (
    "StudyDate",
    "StudyTime",
    "StudyID",
    "AccessionNumber",
    "ReferringPhysicianName",
    "PatientName",
    "PatientID",
    "IssuerOfPatientID",
    "PatientBirthDate",
    "PatientSex",
)
TEXT_TAGS = frozenset(tag for keyword in TEXTS if (tag := tag_for_keyword(keyword)))
CHARACTER_SET = "SpecificCharacterSet"

_UID = re.compile(r"[0-9][0-9.]{0,127}")  # stricter in the standard (PS3.5, chapter 9), not in all devices
_DAY = re.compile(r"\d{8}", re.ASCII)
_TIME = re.compile(r"([01]\d|2[0-3])([0-5]\d(([0-5]\d|60)(\.\d{1,6})?)?)?", re.ASCII)
_ASCII = ("", "ISO_IR 6", "ISO 2022 IR 6")
_ESCAPE = "\\u001b"  # in JSON: what the decoder did not understand


def filing_headers(dataset: Dataset, too_long: Collection[int]) -> tuple[str, tuple[Caution, ...]]:
    """What an answer in DICOM needs to be filed, and a caution where something cannot be passed on.

    A text that is not of the declared character set is passed on as its bytes, with VR UN, beside the
    Specific Character Set as it came. Impossible dates, times and sexes are left out.

    Args:
        dataset: as it is read: its elements are not yet parsed.
        too_long: tags of texts that were left out.

    Returns:
        A JSON text in DICOM's JSON model, and cautions.

    Raises:
        Refused: a UID is missing, or is none.
    """
    headers: dict[str, Any] = {}
    lost = [keyword for keyword in TEXTS if tag_for_keyword(keyword) in too_long]
    encodings = declared_encodings(dataset)
    for keyword in (*UIDS, *TEXTS):
        element = dataset.get_item(keyword) if keyword in dataset else None
        value = element.value if isinstance(element, RawDataElement) else None
        if value is not None and is_valid(keyword, _stripped(value).decode("latin-1")):
            headers |= _as_json(keyword, value, encodings)
        elif element is not None:  # a sequence in the place of a text, too
            lost.append(keyword)
    _check_uids(headers)
    if any(element["vr"] == "UN" for element in headers.values()):
        came = Dataset()
        came.SpecificCharacterSet = dataset.get(CHARACTER_SET)
        headers |= came.to_json_dict()
    return json.dumps(headers, sort_keys=True), _cautions(lost)


def is_valid(keyword: str, value: str) -> bool:
    """Whether a value can be of an attribute; any text can, valid or not, and an empty value."""
    with suppress(ValueError):
        if not value:
            return True
        if keyword == "PatientSex":
            return value in ("F", "M", "O")
        if keyword.endswith("Time"):
            return _TIME.fullmatch(value) is not None
        return not keyword.endswith("Date") or (
            _DAY.fullmatch(value) is not None and bool(date.fromisoformat(value))
        )
    return False


def read_uids(reference: str) -> dict[str, str]:
    """The UIDs of :data:`UIDS` in what :func:`filing_headers` wrote."""
    fields = json.loads(reference)
    return {keyword: str(fields[f"{Tag(keyword):08X}"]["Value"][0]) for keyword in UIDS}


def declared_encodings(dataset: Dataset) -> list[str]:
    """Python's names of the character sets that a dataset declares; ``ascii`` for what is none."""
    names = dataset.get(CHARACTER_SET) or ""
    names = names if isinstance(names, MultiValue) else [names]
    return ["ascii" if name in _ASCII else python_encoding.get(name, "ascii") for name in names]


def _as_json(keyword: str, value: bytes, encodings: Sequence[str]) -> dict[str, Any]:
    """An attribute in DICOM's JSON model: as text if that gives the same bytes again, else as bytes."""
    tag, came = Tag(keyword), _stripped(value)
    if not came:
        return {}
    with suppress(Exception):  # pydicom raises whatever it meets
        raw = RawDataElement(tag, dictionary_VR(tag), len(value), value, 0, False, True)
        found = Dataset({tag: convert_raw_data_element(raw, encoding=list(encodings))}).to_json()
        again = _stripped(_written(Dataset.from_json(found)[tag], encodings))
        if again == came and _ESCAPE not in found:
            return dict(json.loads(found))
    return {f"{tag:08X}": {"vr": "UN", "InlineBinary": b64encode(came).decode()}}


def _written(element: DataElement, encodings: Sequence[str]) -> bytes:
    buffer = DicomBytesIO()
    buffer.is_implicit_VR, buffer.is_little_endian = True, True
    write_data_element(buffer, element, list(encodings))
    return buffer.getvalue()[8:]  # behind tag and length


def _stripped(value: bytes) -> bytes:
    return value.rstrip(b" \0")


def _check_uids(headers: dict[str, Any]) -> None:
    for keyword in UIDS:
        values = headers.get(f"{Tag(keyword):08X}", {}).get("Value", [""])
        if len(values) > 1 or not _UID.fullmatch(values[0]):
            raise malformed()


def _cautions(lost: Sequence[str]) -> tuple[Caution, ...]:
    if not lost:
        return ()
    names = ", ".join(lost)
    log.warning("Of a DICOM object these attributes cannot be passed on: %s", names)
    return (Caution("filing", f"DICOM answers are without attributes that cannot be passed on: {names}."),)
