"""The report in DICOM: valid, by TID 1500, with every number to the last bit, preliminary and unverified."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest
from highdicom.sr import (
    CodeContentItem,
    ComprehensiveSR,
    MeasurementReport,
    MeasurementsAndQualitativeEvaluations,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.sr.codedict import codes

from dermafed.client.clinic.answers.dicom_source import to_file
from dermafed.client.clinic.answers.secondary_capture import secondary_capture
from dermafed.client.clinic.answers.structured_report import structured_report
from dermafed.client.clinic.diagnosis.diagnosis import USE, Diagnosis
from tests.client.clinic.answers.sample import ALERTED, DOUBTED, PLAIN, REFERENCE
from tests.client.clinic.answers.test_secondary_capture import OVERLAY
from tests.client.clinic.dicom.dicom_objects import INSTANCE, STUDY, dciodvfy

Groups = dict[str, MeasurementsAndQualitativeEvaluations]


def read_back(diagnosis: Diagnosis, reference: str | None = None) -> ComprehensiveSR:
    """The report, as highdicom reads it from its file."""
    return ComprehensiveSR.from_dataset(dcmread(BytesIO(to_file(structured_report(diagnosis, reference)))))


def groups(report: ComprehensiveSR) -> Groups:
    content = report.content
    assert isinstance(content, MeasurementReport)
    return {str(each.tracking_identifier): each for each in content.get_image_measurement_groups()}


def numbers(report: ComprehensiveSR) -> dict[str, float]:
    return {
        name.removeprefix("Probability of "): float(group.get_measurements()[0].value)
        for name, group in groups(report).items()
        if group.get_measurements()
    }


def named_values(group: MeasurementsAndQualitativeEvaluations) -> list[tuple[str, str]]:
    return [(each.name.meaning, each.value.meaning) for each in evaluations(group)]


def evaluations(group: MeasurementsAndQualitativeEvaluations) -> list[CodeContentItem]:
    """Without the algorithm's family, which highdicom takes for one."""
    return [each for each in group.get_qualitative_evaluations() if each.name != codes.DCM.AlgorithmFamily]


@pytest.mark.parametrize("diagnosis", [PLAIN, DOUBTED, ALERTED])
@pytest.mark.parametrize("reference", [None, REFERENCE])
def test_it_is_valid(diagnosis: Diagnosis, reference: str | None, tmp_path: Path) -> None:
    errors, warnings = dciodvfy(to_file(structured_report(diagnosis, reference)), tmp_path)
    assert errors == []
    known = ("<99DERMAFED>", "needed to build DICOMDIR")  # codes of one's own, unknown patient
    assert [each for each in warnings if not any(part in each for part in known)] == []


@pytest.mark.parametrize("diagnosis", [PLAIN, DOUBTED, ALERTED])
def test_every_class_has_its_probability_to_the_last_bit(diagnosis: Diagnosis) -> None:
    expected = {name.replace("_", " "): value for name, value in diagnosis.probabilities.items()}
    assert numbers(read_back(diagnosis)) == expected
    for group in groups(read_back(diagnosis)).values():
        for measurement in group.get_measurements():
            assert measurement.name == codes.DCM.Probability
            assert measurement.unit == codes.UCUM.NoUnits


def test_classes_are_coded_where_their_code_is_known() -> None:
    by_name = groups(read_back(DOUBTED))
    (known,) = evaluations(by_name["Probability of bcc"])
    assert (known.value.scheme_designator, known.value.value) == ("SCT", "1338007")
    (unknown,) = evaluations(by_name["Probability of dermatofibroma"])
    assert (unknown.value.scheme_designator, unknown.value.value) == ("99DERMAFED", "dermatofibroma")
    assert by_name["Probability of bcc"].finding_type is None, "nobody shall read that it was found"


def test_warnings_are_included_and_rules_that_were_not_fitted_are_not() -> None:
    assert named_values(groups(read_back(DOUBTED))["Diagnosis"]) == [
        ("Most probable class", "Basal cell carcinoma"),
        ("Undecided: no class is probable enough to rely on", "Yes"),
        ("May be outside what the model has seen", "Yes"),
        ("Image quality", "The image is blurred."),
        ("Image quality", "There is ink on the skin."),
    ]
    assert ("Alert for melanoma", "Yes") in named_values(groups(read_back(ALERTED))["Diagnosis"])
    assert named_values(groups(read_back(PLAIN))["Diagnosis"]) == [("Most probable class", "Pigmented nevus")]
    sure = replace(PLAIN, unsure=False, outside=False)
    assert [value for _, value in named_values(groups(read_back(sure))["Diagnosis"])] == [
        "Pigmented nevus",
        "No",
        "No",
    ]


def test_the_algorithm_is_named_with_its_version_and_use() -> None:
    items = groups(read_back(PLAIN))["Diagnosis"][0].ContentSequence
    values = {item.name.meaning: getattr(item.value, "meaning", item.value) for item in items}
    assert values["Algorithm Name"] == "spring <run> & more"
    assert values["Algorithm Version"] == f"round 3, sha256 {'cd' * 32}"
    assert values["Algorithm Family"] == "Artificial Intelligence"
    assert values["Algorithm Parameters"] == USE


def test_it_is_preliminary_unverified_and_research() -> None:
    report = read_back(PLAIN, REFERENCE)
    assert (report.PreliminaryFlag, report.VerificationFlag) == ("PRELIMINARY", "UNVERIFIED")
    assert (report.CompletionFlag, report.ContentQualification) == ("COMPLETE", "RESEARCH")
    assert USE in report.SeriesDescription
    assert report.ContentTemplateSequence[0].TemplateIdentifier == "1500"


def test_it_is_filed_beside_its_image_and_refers_to_it_and_to_the_heatmap() -> None:
    report = read_back(PLAIN, REFERENCE)
    assert (report.StudyInstanceUID, report.PatientID) == (STUDY, "P-0815")
    heatmap = secondary_capture(PLAIN, OVERLAY, REFERENCE)
    assert {instance for _, _, instance, _ in report.get_evidence()} == {INSTANCE, heatmap.SOPInstanceUID}
    assert report.SeriesInstanceUID != heatmap.SeriesInstanceUID
    without = read_back(PLAIN)
    assert without.StudyInstanceUID == secondary_capture(PLAIN, OVERLAY).StudyInstanceUID


def test_the_same_diagnosis_gives_the_same_file() -> None:
    assert to_file(structured_report(PLAIN, REFERENCE)) == to_file(structured_report(PLAIN, REFERENCE))


@settings(max_examples=20)
@given(st.floats(0, 1), st.text(min_size=1, max_size=80))
def test_any_number_and_name_of_a_model_survive(value: float, name: str) -> None:
    diagnosis = replace(
        PLAIN,
        probabilities={"melanoma": value, "nevus": 1 - value},
        model=replace(PLAIN.model, name=name),
    )
    assert numbers(read_back(diagnosis)) == {"melanoma": value, "nevus": 1 - value}
