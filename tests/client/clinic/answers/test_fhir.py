"""The bundle is valid R4, has the content of the diagnosis, and names nobody."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

import fhirkit
import pytest
from fhirclient.models.bundle import Bundle
from hypothesis import given, settings
from hypothesis import strategies as st

from dermafed.client.clinic.answers.codes import UNDECIDED
from dermafed.client.clinic.answers.fhir import to_fhir
from dermafed.client.clinic.diagnosis.diagnosis import USE, Diagnosis
from tests.client.clinic.answers.sample import ALERTED, DOUBTED, PLAIN

PNG = b"\x89PNG\r\n\x1a\n" + bytes(40)


def of_kind(bundle: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    resources = [each["resource"] for each in bundle["entry"]]
    return [each for each in resources if each["resourceType"] == kind]


def errors(bundle: dict[str, Any]) -> list[str]:
    """What two independent libraries find wrong; the second has the R4 models of SMART on FHIR."""
    found = [str(issue) for issue in fhirkit.validate(json.dumps(bundle))]
    Bundle(bundle, strict=True)
    return found


@pytest.mark.parametrize("diagnosis", [PLAIN, DOUBTED, ALERTED])
@pytest.mark.parametrize("heatmap", [None, PNG])
def test_it_is_valid_r4(diagnosis: Diagnosis, heatmap: bytes | None) -> None:
    assert fhirkit.FHIR_VERSION.startswith("4.0")
    assert errors(to_fhir(diagnosis, heatmap)) == []


def test_the_validators_find_what_is_wrong() -> None:
    bundle = to_fhir(PLAIN)
    del of_kind(bundle, "DiagnosticReport")[0]["code"]
    with pytest.raises(Exception, match="code"):
        Bundle(bundle, strict=True)
    assert any(
        "DiagnosticReport" not in each and "code" in each for each in map(str, fhirkit.validate(bundle))
    )


def test_every_class_has_its_probability_and_code() -> None:
    answers = of_kind(to_fhir(PLAIN), "Observation")
    values = {each["code"]["text"]: each for each in answers}
    melanoma = values["Probability of melanoma"]
    assert melanoma["valueQuantity"] == {
        "value": 0.0312,
        "unit": "1",
        "system": "http://unitsofmeasure.org",
        "code": "1",
    }
    (coded,) = melanoma["component"][0]["valueCodeableConcept"]["coding"]
    assert (coded["system"], coded["code"]) == ("http://snomed.info/sct", "1162635006")
    assert values["Probability of nevus"]["valueQuantity"]["value"] == 0.9
    assert values["Probability of seborrheic keratosis"]["valueQuantity"]["value"] == 0.0688
    assert values["Most probable class"]["valueCodeableConcept"]["text"] == "nevus"
    assert {each["status"] for each in answers} == {"preliminary"}


def test_a_class_without_a_sure_code_has_its_name_only() -> None:
    values = {each["code"]["text"]: each for each in of_kind(to_fhir(DOUBTED), "Observation")}
    concept = values["Probability of dermatofibroma"]["component"][0]["valueCodeableConcept"]
    assert concept == {"text": "dermatofibroma"}
    assert values["Most probable class"]["valueCodeableConcept"]["coding"][0]["code"] == "1338007"


def test_warnings_are_included_and_rules_that_were_not_fitted_are_marked_absent() -> None:
    doubted = {each["code"]["text"]: each for each in of_kind(to_fhir(DOUBTED), "Observation")}
    assert doubted[UNDECIDED]["valueBoolean"] is True
    out_of_distribution = doubted["May be outside what the model has seen"]
    assert out_of_distribution["valueBoolean"] is True
    assert out_of_distribution["component"][0]["valueQuantity"]["value"] == -12.5
    assert [part["valueString"] for part in doubted["Image quality"]["component"]] == [
        "The image is blurred.",
        "There is ink on the skin.",
    ]
    plain = {each["code"]["text"]: each for each in of_kind(to_fhir(PLAIN), "Observation")}
    for name in (
        "Undecided: no class is probable enough to rely on",
        "May be outside what the model has seen",
    ):
        assert "valueBoolean" not in plain[name]
        assert plain[name]["dataAbsentReason"]["coding"][0]["code"] == "not-performed"
    assert "Image quality" not in plain


def test_an_alert_has_its_threshold_and_how_often_it_misses() -> None:
    bundle = to_fhir(ALERTED)
    alert = {each["code"]["text"]: each for each in of_kind(bundle, "Observation")}["Alert for melanoma"]
    assert alert["valueBoolean"] is True
    values = [part.get("valueString") or part["valueQuantity"]["value"] for part in alert["component"]]
    assert values == [0.02, 0.05, 0.0127, 0.1397, 60, "At most 10% of melanomas are missed"]
    (report,) = of_kind(bundle, "DiagnosticReport")
    assert (
        "Alert for melanoma: its probability, 0.031, reaches this clinic's threshold, 0.020. Of 60 melanomas "
        "in the clinic's validation images the alert missed 5.0% (95 % interval 1.3% to 14.0%)."
    ) in report["conclusion"]
    few = replace(ALERTED, alert_score=0.25, alert_note="Too few melanomas here: 2")
    bundle = to_fhir(few)
    alert = {each["code"]["text"]: each for each in of_kind(bundle, "Observation")}["Alert for melanoma"]
    values = [part.get("valueString") or part["valueQuantity"]["value"] for part in alert["component"]]
    assert values == [0.02, 0.25, 0.05, 0.0127, 0.1397, 60, few.miss_rate.promise, few.alert_note]  # type: ignore[union-attr]
    (report,) = of_kind(bundle, "DiagnosticReport")
    assert (
        "its probability as if all diagnoses were equally frequent, 0.250, reaches the threshold of all "
        "clinics, 0.020. Of 60 melanomas in their validation images the alert missed 5.0% (95 % interval "
        "1.3% to 14.0%). Too few melanomas here: 2."
    ) in report["conclusion"]
    assert Diagnosis.from_dict(few.to_dict()) == few
    quiet = to_fhir(replace(ALERTED, alert=False))
    assert "Alert" not in of_kind(quiet, "DiagnosticReport")[0]["conclusion"]
    texts = [each["code"]["text"] for each in of_kind(to_fhir(PLAIN), "Observation")]
    assert "Alert for melanoma" not in texts


def test_the_report_concludes_with_the_doubts_and_the_intended_use() -> None:
    (report,) = of_kind(to_fhir(DOUBTED), "DiagnosticReport")
    assert report["status"] == "preliminary"
    assert report["conclusion"] == (
        "Most probable of 3 classes: bcc, probability 0.50. "
        "Undecided: no class is probable enough to rely on. "
        "The image may be outside what the model has seen. "
        "The image is blurred. There is ink on the skin. "
        f"Made by a program; no clinician has verified it. {USE}"
    )


def test_the_model_and_the_image_are_named_by_their_digests() -> None:
    bundle = to_fhir(PLAIN)
    (device,), (provenance,) = of_kind(bundle, "Device"), of_kind(bundle, "Provenance")
    assert device["deviceName"] == [{"name": "spring <run> & more", "type": "model-name"}]
    assert [part["value"] for part in device["version"]] == ["3", "cd" * 32]
    assert provenance["entity"][0]["what"]["identifier"]["value"] == "ab" * 32


def test_the_heatmap_goes_along_and_the_image_does_not() -> None:
    (media,) = of_kind(to_fhir(PLAIN, PNG), "Media")
    assert base64.b64decode(media["content"]["data"]) == PNG
    assert of_kind(to_fhir(PLAIN), "Media") == []


def test_references_lead_to_resources_of_the_bundle() -> None:
    bundle = to_fhir(PLAIN, PNG)
    urls = {each["fullUrl"] for each in bundle["entry"]}
    assert len(urls) == len(bundle["entry"]) == 1 + 6 + 1 + 1 + 1
    assert set(references(bundle)) <= urls
    (provenance,) = of_kind(bundle, "Provenance")
    assert len(provenance["target"]) == 8  # all but the device and itself


def test_no_person_is_named() -> None:
    text = json.dumps(to_fhir(PLAIN, PNG))
    assert '"subject"' not in text
    assert "Patient" not in text
    for private in ("camera-1", "visit-7", "female", "back"):
        assert f'"{private}"' not in text


def test_everything_is_marked_as_asserted_by_ai() -> None:
    bundle = to_fhir(PLAIN, PNG)
    for resource in (bundle, *(each["resource"] for each in bundle["entry"])):
        assert [label["code"] for label in resource["meta"]["security"]] == ["AIAST"]


def test_the_same_diagnosis_gives_the_same_bundle() -> None:
    assert to_fhir(PLAIN, PNG) == to_fhir(PLAIN, PNG)
    first, second = ({each["fullUrl"] for each in to_fhir(answers)["entry"]} for answers in (PLAIN, DOUBTED))
    assert not first & second


@settings(max_examples=40)
@given(st.dictionaries(st.from_regex(r"\A[a-z][a-z0-9_]{0,20}\Z"), st.floats(0, 1), min_size=2, max_size=9))
def test_any_classes_and_numbers_are_valid(probabilities: dict[str, float]) -> None:
    diagnosis = replace(PLAIN, probabilities=probabilities, prediction=max(probabilities))
    bundle = to_fhir(diagnosis)
    assert errors(bundle) == []
    answers = [
        each["valueQuantity"]["value"] for each in of_kind(bundle, "Observation") if "valueQuantity" in each
    ]
    assert json.loads(json.dumps(answers)) == list(probabilities.values())


def references(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["reference"]] if "reference" in node else []
        return own + [each for value in node.values() for each in references(value)]
    return [each for value in node for each in references(value)] if isinstance(node, list) else []
