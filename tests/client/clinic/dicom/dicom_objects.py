"""Valid dermoscopic photographs in DICOM, made of image files; no patient is real."""

from __future__ import annotations

import subprocess
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import Dataset, FileDataset
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRLittleEndian, JPEGBaseline8Bit, SecondaryCaptureImageStorage

DERMOSCOPIC = "1.2.840.10008.5.1.4.1.1.77.1.7"
PHOTOGRAPHIC = "1.2.840.10008.5.1.4.1.1.77.1.4"
SECONDARY_CAPTURE = SecondaryCaptureImageStorage
STUDY, SERIES, INSTANCE = "2.25.1001", "2.25.1002", "2.25.1003"


def draw_jpeg(seed: int = 1, side: int = 96) -> bytes:
    """A blotch on skin, unlike that of any other seed."""
    rng = np.random.default_rng(seed)
    image = np.full((side, side, 3), (150, 180, 220), np.uint8)
    cv2.circle(image, (side // 2, side // 2), int(rng.integers(side // 8, side // 3)), (40, 60, 90), -1)
    noisy = image + rng.integers(0, 20, image.shape).astype(np.uint8)
    return cv2.imencode(".jpg", noisy)[1].tobytes()


def encapsulated(
    jpeg: bytes, sop_class: str = DERMOSCOPIC, instance: str = INSTANCE, **attributes: object
) -> FileDataset:
    """A JPEG file as it is, inside a DICOM object.

    Args:
        jpeg: baseline, RGB.
        sop_class: of the object.
        instance: its UID.
        attributes: by keyword, over the others.
    """
    rows, columns = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR).shape[:2]
    dataset = _photograph(sop_class, instance, rows, columns, JPEGBaseline8Bit)
    dataset.PhotometricInterpretation = "YBR_FULL_422"
    dataset.LossyImageCompression = "01"
    dataset.LossyImageCompressionRatio = f"{rows * columns * 3 / len(jpeg):.3f}"
    dataset.LossyImageCompressionMethod = "ISO_10918_1"
    dataset.PixelData = encapsulate([jpeg])
    dataset["PixelData"].VR = "OB"
    return _with(dataset, attributes)


def uncompressed(
    pixels: NDArray[np.uint8], sop_class: str = DERMOSCOPIC, instance: str = INSTANCE, **attributes: object
) -> FileDataset:
    """RGB pixels (H, W, 3) inside a DICOM object."""
    dataset = _photograph(sop_class, instance, *pixels.shape[:2], ExplicitVRLittleEndian)
    dataset.PhotometricInterpretation = "RGB"
    dataset.LossyImageCompression = "00"
    data = pixels.tobytes()
    dataset.PixelData = data + b"\0" * (len(data) % 2)
    dataset["PixelData"].VR = "OB"
    return _with(dataset, attributes)


def as_file(dataset: Dataset) -> bytes:
    """The object as a file."""
    file = BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()


def dciodvfy(file: bytes, folder: Path) -> tuple[list[str], list[str]]:
    """What dicom3tools finds: errors and warnings. Skips the test where it is not installed."""
    path = folder / "object.dcm"
    path.write_bytes(file)
    try:
        output = subprocess.run(["dciodvfy", path], capture_output=True, text=True, check=False).stderr
    except FileNotFoundError:
        pytest.skip("dciodvfy is not installed (Debian's dicom3tools)")
    lines = output.splitlines()
    assert any(not line.startswith(("Error", "Warning")) for line in lines), "it names the object's kind"
    return [line for line in lines if line.startswith("Error")], [
        line for line in lines if line.startswith("Warning")
    ]


def _with(dataset: FileDataset, attributes: dict[str, object]) -> FileDataset:
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    return dataset


def _photograph(sop_class: str, instance: str, rows: int, columns: int, syntax: str) -> FileDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = sop_class, instance
    meta.TransferSyntaxUID = syntax
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128, is_implicit_VR=False)
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.SOPClassUID, dataset.SOPInstanceUID = sop_class, instance
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = STUDY, SERIES
    dataset.PatientName, dataset.PatientID = "Beispiel^Bärbel", "P-0815"
    dataset.PatientBirthDate, dataset.PatientSex, dataset.PatientAge = "19720101", "F", "054Y"
    dataset.StudyDate, dataset.StudyTime, dataset.StudyID = "20260301", "101112", "S1"
    dataset.AccessionNumber, dataset.ReferringPhysicianName = "A-17", "Muster^Max"
    dataset.Modality = {DERMOSCOPIC: "DMS", PHOTOGRAPHIC: "XC"}.get(sop_class, "OT")
    dataset.SeriesNumber, dataset.InstanceNumber, dataset.Laterality = 1, 1, None
    dataset.Manufacturer, dataset.PatientOrientation = "Test", []
    dataset.ContentDate, dataset.ContentTime = "20260301", "101213"
    dataset.ImageType = ["ORIGINAL", "PRIMARY"]
    dataset.AcquisitionDateTime, dataset.BurnedInAnnotation = "20260301101213", "NO"
    dataset.Rows, dataset.Columns, dataset.SamplesPerPixel, dataset.PlanarConfiguration = rows, columns, 3, 0
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 8, 8, 7, 0
    if sop_class == SECONDARY_CAPTURE:
        dataset.ConversionType = "DI"
    else:
        dataset.AcquisitionContextSequence = []
        dataset.AnatomicRegionSequence = [_code("39937001", "SCT", "Skin")]
    if sop_class == DERMOSCOPIC:
        _of_a_dermatoscope(dataset)
    return dataset


def _of_a_dermatoscope(dataset: Dataset) -> None:
    dataset.FrameOfReferenceUID, dataset.PositionReferenceIndicator = "2.25.1004", None
    dataset.ManufacturerModelName, dataset.DeviceSerialNumber = "Scope", "1"
    dataset.SoftwareVersions, dataset.RecognizableVisualFeatures = "1", "NO"
    dataset.LightSourcePolarization = dataset.EmitterColorTemperature = None
    dataset.ContactMethod = dataset.OpticalMagnificationFactor = None


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item
