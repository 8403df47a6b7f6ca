"""The lesion in FHIR, as a segmentation, in the structured report, and in words."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from highdicom.seg import Segmentation
from pydicom import dcmread
from pydicom.uid import SegmentationStorage

from dermafed.client.clinic.answers.codes import conclusion
from dermafed.client.clinic.answers.dicom_source import to_file
from dermafed.client.clinic.answers.fhir import to_fhir
from dermafed.client.clinic.answers.lesion_text import LESION_CAVEAT, lesion_rows
from dermafed.client.clinic.answers.segmentation import segmentation
from dermafed.client.clinic.answers.structured_report import structured_report
from dermafed.client.clinic.diagnosis.diagnosis import Diagnosis
from tests.client.clinic.answers.sample import PLAIN, REFERENCE
from tests.client.clinic.answers.test_fhir import PNG, errors, of_kind, references
from tests.client.clinic.answers.test_structured_report import groups, named_values, read_back
from tests.client.clinic.dicom.dicom_objects import INSTANCE, SERIES, STUDY, dciodvfy
from tests.client.clinic.lesions import FOUND, NOT_FOUND, outlined, photograph

WITH = replace(PLAIN, lesion=FOUND)
WITHOUT = replace(PLAIN, lesion=NOT_FOUND)
CUT = replace(PLAIN, lesion=outlined(photograph(at=(0.2, 0.5))))
MASK = FOUND.mask(300, 400)


@pytest.mark.parametrize("diagnosis", [WITH, WITHOUT, CUT])
def test_fhir_is_valid(diagnosis: Diagnosis) -> None:
    bundle = to_fhir(diagnosis, PNG, PNG)
    assert errors(bundle) == []
    assert set(references(bundle)) <= {each["fullUrl"] for each in bundle["entry"]}


def test_fhir_has_the_measures_with_their_units() -> None:
    observations = {each["code"]["text"]: each for each in of_kind(to_fhir(WITH), "Observation")}
    lesion = observations["A lesion was found in the image"]
    assert lesion["valueBoolean"] is True
    assert lesion["note"] == [{"text": LESION_CAVEAT}]
    parts = {each["code"]["text"]: each for each in lesion["component"]}
    assert FOUND.measures is not None
    quantity = parts["Largest diameter"]["valueQuantity"]
    assert (quantity["value"], quantity["code"]) == (FOUND.measures.diameter_mm, "mm")
    assert parts["Area"]["valueQuantity"]["code"] == "mm2"
    assert parts["Share that is dark brown"]["valueQuantity"]["value"] > 0.9
    assert parts["All of the lesion is in the image"]["valueBoolean"] is True
    assert len(parts) == 1 + 2 + 5 + 4 + 6


def test_fhir_has_no_asymmetry_of_a_lesion_that_is_cut_off() -> None:
    observations = {each["code"]["text"]: each for each in of_kind(to_fhir(CUT), "Observation")}
    parts = [each["code"]["text"] for each in observations["A lesion was found in the image"]["component"]]
    assert not [part for part in parts if "axis" in part or part == "Area"]


def test_no_lesion_is_said_in_words() -> None:
    said = "No lesion was found: no part of the image looks like a lesion."
    observations = {each["code"]["text"]: each for each in of_kind(to_fhir(WITHOUT), "Observation")}
    lesion = observations["A lesion was found in the image"]
    assert lesion["valueBoolean"] is False
    assert lesion["note"] == [{"text": said}]
    assert said in conclusion(WITHOUT)
    assert named_values(groups(read_back(WITHOUT))["Lesion"]) == [
        ("A lesion was found in the image", "No"),
        ("Why no lesion was found", "no part of the image looks like a lesion"),
    ]
    assert "lesion was found" not in conclusion(WITH) + conclusion(PLAIN)
    assert lesion_rows(NOT_FOUND) == []


def test_the_mask_goes_along_with_the_heatmap() -> None:
    media = of_kind(to_fhir(WITH, PNG, PNG), "Media")
    assert [each["content"]["title"].split(";")[0] for each in media] == [
        "What moved the score of nevus",
        "Where the lesion is: white",
    ]
    (report,) = of_kind(to_fhir(WITH, PNG, PNG), "DiagnosticReport")
    assert [each["comment"] for each in report["media"]] == ["What moved the score", "The lesion"]


def test_the_segmentation_is_valid_and_repeatable(tmp_path: Path) -> None:
    file = to_file(segmentation(WITH, MASK, REFERENCE))
    assert file == to_file(segmentation(WITH, MASK, REFERENCE))
    found, warnings = dciodvfy(file, tmp_path)
    assert found == []
    assert [each for each in warnings if "needed to build DICOMDIR" not in each] == []


def test_the_segmentation_is_the_mask_in_the_study_of_its_image() -> None:
    read = Segmentation.from_dataset(dcmread(BytesIO(to_file(segmentation(WITH, MASK, REFERENCE)))))
    np.testing.assert_array_equal(read.pixel_array.reshape(MASK.shape) > 0, MASK)
    assert read.SOPClassUID == SegmentationStorage
    assert (read.StudyInstanceUID, str(read.PatientName)) == (STUDY, "Beispiel^Bärbel")
    (series,) = read.ReferencedSeriesSequence
    assert series.SeriesInstanceUID == SERIES
    assert series.ReferencedInstanceSequence[0].ReferencedSOPInstanceUID == INSTANCE
    assert read.ContentQualification == "RESEARCH"
    assert read.get_segment_description(1).segmented_property_type.meaning == "Lesion"


def test_the_report_has_the_measures() -> None:
    report = groups(read_back(WITH))["Lesion"]
    assert named_values(report) == [
        ("A lesion was found in the image", "Yes"),
        ("All of the lesion is in the image", "Yes"),
    ]
    assert FOUND.measures is not None
    numbers = {each.name.meaning: (float(each.value), each.unit.value) for each in report.get_measurements()}
    assert numbers["Area"] == (FOUND.measures.area_mm2, "mm2")
    assert numbers["Diameter"] == (FOUND.measures.diameter_mm, "mm")
    assert numbers["Eighths in which the border ends abruptly"] == (8, "1")
    assert numbers["Share that is dark brown"][0] == FOUND.measures.colours["dark brown"]


@pytest.mark.parametrize("diagnosis", [WITH, WITHOUT, CUT])
@pytest.mark.parametrize("reference", [None, REFERENCE])
def test_the_report_is_valid(diagnosis: Diagnosis, reference: str | None, tmp_path: Path) -> None:
    found, warnings = dciodvfy(to_file(structured_report(diagnosis, reference)), tmp_path)
    assert found == []
    known = ("<99DERMAFED>", "needed to build DICOMDIR")
    assert [each for each in warnings if not any(part in each for part in known)] == []


def test_the_measures_in_words() -> None:
    rows, measures = dict(lesion_rows(FOUND)), FOUND.measures
    assert measures is not None
    assert measures.diameter_mm == pytest.approx(2.4, abs=0.07)
    assert measures.area_mm2 == pytest.approx(np.pi * 1.2**2, rel=0.04)
    assert rows["Area"] == f"{measures.area_mm2:.1f} mm², 13% of what the model saw"
    assert rows["Largest diameter"] == f"{measures.diameter_mm:.1f} mm"
    assert rows["Border"] == "irregularity 1.00 (a disc has 1); abrupt in 8 of 8 segments"
    assert rows["Colours"].startswith("dark brown 9")
    assert set(rows) == {
        "Area",
        "Largest diameter",
        "Asymmetry, shape",
        "Asymmetry, colour",
        "Border",
        "Colours",
    }
    assert CUT.lesion is not None
    cut = dict(lesion_rows(replace(CUT.lesion, lesions=2)))
    assert cut["Area"].startswith("at least ")
    assert cut["Largest diameter"].endswith("; no scale")
    assert cut["Asymmetry"].startswith("not measured")
    assert cut["Border"].startswith("abrupt in")
    assert cut["Lesions"] == "2; this is the largest"
