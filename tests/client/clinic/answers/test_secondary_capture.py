"""The heatmap in DICOM: valid, in the study of its image, saying what it is, the same whenever asked for."""

from __future__ import annotations

import warnings
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import UID

from dermafed.client.clinic.answers.dicom_source import to_file
from dermafed.client.clinic.answers.secondary_capture import secondary_capture
from dermafed.client.clinic.diagnosis.diagnosis import Diagnosis
from dermafed.client.clinic.diagnosis.lesion import Lesion
from dermafed.shared.lesion_finder.outline import Nothing
from tests.client.clinic.answers.sample import DOUBTED, PLAIN, REFERENCE
from tests.client.clinic.dicom.dicom_objects import INSTANCE, STUDY, as_file, dciodvfy

OVERLAY = np.random.default_rng(1).integers(0, 256, (600, 520, 3), dtype=np.uint8)


def written(diagnosis: Diagnosis, reference: str | None, overlay: np.ndarray = OVERLAY) -> Dataset:
    """The object, as a reader of its file sees it."""
    return dcmread(BytesIO(to_file(secondary_capture(diagnosis, overlay, reference))))


@pytest.mark.parametrize("diagnosis", [PLAIN, DOUBTED])
@pytest.mark.parametrize("reference", [None, REFERENCE])
def test_it_is_valid(diagnosis: Diagnosis, reference: str | None, tmp_path: Path) -> None:
    errors, warnings = dciodvfy(as_file(written(diagnosis, reference)), tmp_path)
    assert errors == []
    known = ("attribute <Laterality>", "needed to build DICOMDIR")  # unknown side, unknown patient
    assert [each for each in warnings if not any(part in each for part in known)] == []


def test_its_pixels_are_the_overlay_with_text_below() -> None:
    pixels = written(PLAIN, None).pixel_array
    assert pixels.shape == (600 + 82, 520, 3)
    np.testing.assert_array_equal(pixels[:600], OVERLAY)
    below = pixels[600:].min(axis=(1, 2))
    assert [bool(below[8 + 22 * line : 30 + 22 * line].min() < 90) for line in range(3)] == [True] * 3
    assert pixels[600:, -8:].min() == 255, "no line is cut off"


def test_its_picture_says_that_the_model_is_undecided_or_found_no_lesion() -> None:
    """Each doubt is a line above the question; the longest reason takes two."""
    small = replace(PLAIN, lesion=Lesion(str(Nothing.SMALL)))
    heights = [written(each, None).pixel_array.shape[0] - 682 for each in (PLAIN, DOUBTED, small)]
    assert heights == [0, 2 * 22, 2 * 22]
    assert written(small, None).pixel_array[600:, -8:].min() == 255, "no line is cut off"


def test_a_small_overlay_is_enlarged_so_that_its_text_is_readable() -> None:
    assert written(PLAIN, None, np.zeros((64, 64, 3), np.uint8)).pixel_array.shape == (512 + 82, 512, 3)


def test_it_is_filed_beside_its_image() -> None:
    image = written(PLAIN, REFERENCE)
    assert (image.StudyInstanceUID, str(image.PatientName), image.PatientID) == (
        STUDY,
        "Beispiel^Bärbel",
        "P-0815",
    )
    assert (image.PatientSex, image.AccessionNumber, image.StudyDate) == ("F", "A-17", "20260301")
    (source,) = image.SourceImageSequence
    assert source.ReferencedSOPInstanceUID == INSTANCE
    assert source.PurposeOfReferenceCodeSequence[0].CodeValue == "121322"


def test_without_a_dicom_image_nobody_is_named() -> None:
    image = written(PLAIN, None)
    assert [image[each].value for each in ("PatientID", "PatientBirthDate", "PatientSex")] == ["", "", ""]
    assert str(image.PatientName) == ""
    assert "SourceImageSequence" not in image


def test_it_is_marked_as_derived_lossy_and_research() -> None:
    image = written(PLAIN, REFERENCE)
    assert list(image.ImageType)[:2] == ["DERIVED", "SECONDARY"]
    assert (image.LossyImageCompression, image.LossyImageCompressionMethod) == ("01", "ISO_10918_1")
    assert (image.BurnedInAnnotation, image.ContentQualification) == ("NO", "RESEARCH")
    for field in (image.ImageComments, image.DerivationDescription, image.SeriesDescription):
        assert "Research use only; not a medical device." in field
    assert "does not outline the lesion" in image.DerivationDescription
    assert image.ManufacturerModelName == "spring <run> & more"
    assert (image.SoftwareVersions, image.DeviceSerialNumber) == ("round 3", "cd" * 32)


def test_the_same_diagnosis_gives_the_same_file_and_another_one_another_object() -> None:
    first = secondary_capture(PLAIN, OVERLAY, REFERENCE)
    assert to_file(first) == to_file(secondary_capture(PLAIN, OVERLAY, REFERENCE))
    second = secondary_capture(DOUBTED, OVERLAY, REFERENCE)
    uids = [first.SOPInstanceUID, first.SeriesInstanceUID, second.SOPInstanceUID, second.SeriesInstanceUID]
    assert len(set(uids)) == 4
    assert all(UID(each).is_valid and each.startswith("2.25.") for each in uids)


@pytest.mark.parametrize(
    ("tag", "value"),
    [
        ("StudyDate", "yesterday"),
        ("PatientSex", "X"),
        ("PatientBirthDate", "31.12.1999"),
        ("StudyTime", "9am"),
    ],
)
def test_values_that_are_not_valid_dicom_are_left_empty(tag: str, value: str, tmp_path: Path) -> None:
    """Values that the sender got wrong must not stop the answer, nor make it invalid."""
    headers = Dataset.from_json(REFERENCE)
    headers[tag]._value = value
    with warnings.catch_warnings(action="error"):  # a warning would repeat the value
        image = written(PLAIN, headers.to_json())
    assert image[tag].value == ""
    assert dciodvfy(as_file(image), tmp_path)[0] == []
