"""What DICOM answers share: the patient and the study of their image, marks, and their file."""

from __future__ import annotations

import json
from base64 import b64decode
from datetime import datetime
from io import BytesIO
from typing import Any

from pydicom import Dataset, config
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.valuerep import CUSTOMIZABLE_CHARSET_VR, DA, DT, TM

from dermafed.client.clinic.answers.codes import uid_of
from dermafed.client.clinic.diagnosis.diagnosis import Diagnosis
from dermafed.client.clinic.intake.filing import CHARACTER_SET, UIDS, is_valid

PATIENT = ("PatientName", "PatientID", "PatientBirthDate", "PatientSex")
STUDY = ("StudyDate", "StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName")
_LOSSY = ("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod")
_OPTIONAL = ("IssuerOfPatientID", "StudyDescription", "PatientAge", *_LOSSY)

# pydicom's warnings and log lines repeat the values they are about, and these name patients.
config.settings.reading_validation_mode = config.IGNORE


def source_of(diagnosis: Diagnosis, reference: str | None) -> Dataset:
    """The attributes of the source that its answers share.

    Args:
        diagnosis: gives the study its UID where no DICOM object came.
        reference: of the DICOM object that came, if one did.

    Returns:
        The patient's and the study's attributes, empty where they are unknown, or an impossible date, time or
        sex; the UIDs of the object where one came.
    """
    came, source = _read(reference), empty_source()
    if CHARACTER_SET in came:  # of what came as bytes; without it, all came as text
        source.SpecificCharacterSet = came.SpecificCharacterSet
    for keyword in (*UIDS, *PATIENT, *STUDY, *_OPTIONAL):
        if keyword in came and is_valid(keyword, str(came[keyword].value or "")):
            source.add(came[keyword])
    if "StudyInstanceUID" not in source:
        source.StudyInstanceUID = uid_of(diagnosis.id, "study")
        source.StudyDate = DA(local_time(diagnosis).date())
        source.StudyTime = TM(local_time(diagnosis).time())
    return source


def empty_source() -> Dataset:
    """A source of which nothing is known."""
    source = Dataset()
    source.SpecificCharacterSet = "ISO_IR 192"
    for keyword in PATIENT + STUDY:
        setattr(source, keyword, "")
    return source


def without_texts(source: Dataset) -> Dataset:
    """A source's UIDs only: answers are made with them before :func:`share`, so that no text prevents it."""
    bare = empty_source()
    for keyword in UIDS:
        if keyword in source:
            setattr(bare, keyword, source[keyword].value)
    return bare


def share(answer: Dataset, source: Dataset) -> None:
    """Give an answer its source's patient and study, as they are written there."""
    for keyword in (CHARACTER_SET, "StudyInstanceUID", *PATIENT, *STUDY, *_OPTIONAL):
        if keyword in source and (keyword not in _LOSSY or "PixelData" in answer):
            answer.add(source[keyword])
    if not answer.SpecificCharacterSet:  # the source declares none
        del answer.SpecificCharacterSet


def mark(answer: Dataset, diagnosis: Diagnosis) -> None:
    """Mark an answer as research, made when the diagnosis was: not now, or asking twice would give two."""
    made = local_time(diagnosis)
    answer.ContentQualification = "RESEARCH"
    answer.InstanceCreationDate = DA(made.date())
    answer.InstanceCreationTime = TM(made.time())
    for tool in answer.get("ContributingEquipmentSequence", ()):
        tool.ContributionDateTime = DT(made)


def has_image(source: Dataset) -> bool:
    """Whether a DICOM object came, which answers can refer to."""
    return all(keyword in source for keyword in UIDS)


def local_time(diagnosis: Diagnosis) -> datetime:
    """When the diagnosis was made, by the clinic's clock, as DICOM writes times without a zone."""
    return datetime.fromisoformat(diagnosis.time).astimezone().replace(tzinfo=None)


def text(value: str, limit: int = 64) -> str:
    """A text that DICOM takes: without backslashes and control characters, cut to its limit."""
    return "".join(" " if each == "\\" or not each.isprintable() else each for each in value)[:limit]


def to_file(dataset: Dataset) -> bytes:
    """A DICOM object as a file."""
    file = BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()


def _read(reference: str | None) -> Dataset:
    """A reference; values of VR UN are the bytes of texts that are not of their character set."""
    fields: dict[str, dict[str, Any]] = json.loads(reference or "{}")
    unknown = {tag: field for tag, field in fields.items() if field["vr"] == "UN"}
    came = Dataset.from_json({tag: fields[tag] for tag in fields.keys() - unknown.keys()})
    for tag, field in unknown.items():
        number, value = int(tag, 16), b64decode(field["InlineBinary"])
        kind = dictionary_VR(number)
        # pydicom writes bytes as they are, and what can be of ASCII only as Latin-1.
        came.add(
            DataElement(number, kind, value if kind in CUSTOMIZABLE_CHARSET_VR else value.decode("latin-1"))
        )
    return came
