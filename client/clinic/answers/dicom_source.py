"""What DICOM answers share: the patient and the study of their image, marks, and their file."""

from __future__ import annotations

from datetime import datetime
from io import BytesIO

from pydicom import Dataset, config
from pydicom.dataelem import DataElement
from pydicom.valuerep import DA, DT, TM, validate_value

from dermafed.client.clinic.answers.codes import uid_of
from dermafed.client.clinic.diagnosis.diagnosis import Diagnosis

PATIENT = ("PatientName", "PatientID", "PatientBirthDate", "PatientSex")
STUDY = ("StudyDate", "StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName")
_UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPClassUID", "SOPInstanceUID")
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
        The patient's and the study's attributes, empty where they are unknown or no valid DICOM; the UIDs of
        the object where one came.
    """
    came = Dataset() if reference is None else Dataset.from_json(reference)
    source = Dataset()
    source.SpecificCharacterSet = "ISO_IR 192"
    for keyword in (*_UIDS, *PATIENT, *STUDY, *_OPTIONAL):
        if keyword in came and _is_valid(came[keyword]):
            source.add(came[keyword])
        elif keyword in PATIENT + STUDY:
            setattr(source, keyword, "")
    if "StudyInstanceUID" not in source:
        source.StudyInstanceUID = uid_of(diagnosis.id, "study")
        source.StudyDate = DA(local_time(diagnosis).date())
        source.StudyTime = TM(local_time(diagnosis).time())
    if source.PatientSex not in ("M", "F", "O"):
        source.PatientSex = ""
    return source


def share(answer: Dataset, source: Dataset) -> None:
    """Give an answer its source's patient and study, as they are written there."""
    for keyword in ("SpecificCharacterSet", "StudyInstanceUID", *PATIENT, *STUDY, *_OPTIONAL):
        if keyword in source and (keyword not in _LOSSY or "PixelData" in answer):
            answer.add(source[keyword])


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
    return all(keyword in source for keyword in _UIDS)


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


def _is_valid(element: DataElement) -> bool:
    try:
        validate_value(str(element.VR), element.value, config.RAISE)
    except ValueError:
        return False
    return True
