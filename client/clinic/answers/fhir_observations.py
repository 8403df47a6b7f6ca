"""The observations of a diagnosis in FHIR R4: probabilities, prediction, alert, doubts, image quality."""

from __future__ import annotations

from typing import Any

from dermafed.client.clinic.answers.codes import (
    DCM,
    PROBABILITY,
    SNOMED,
    UNDECIDED,
    Concept,
    concept_of,
    display_name,
)
from dermafed.client.clinic.answers.fhir_lesion import lesion_observation
from dermafed.client.clinic.diagnosis.diagnosis import Diagnosis

SYSTEMS = {SNOMED: "http://snomed.info/sct", DCM: "http://dicom.nema.org/resources/ontology/DCM"}


def coding(concept: Concept) -> dict[str, str]:
    """A concept as a Coding."""
    return {"system": SYSTEMS[concept.scheme], "code": concept.code, "display": concept.meaning}


def hl7(system: str, code: str, display: str) -> dict[str, str]:
    """A Coding of one of HL7's own code systems."""
    return {"system": f"http://terminology.hl7.org/CodeSystem/{system}", "code": code, "display": display}


def class_concept(name: str) -> dict[str, Any]:
    """A class as a CodeableConcept: by its code where one is known for sure, and always by its name."""
    concept = concept_of(name)
    return {"text": display_name(name)} | ({} if concept is None else {"coding": [coding(concept)]})


def dimensionless(value: float) -> dict[str, Any]:
    """A number without a unit as a Quantity, in UCUM."""
    return {"value": value, "unit": "1", "system": "http://unitsofmeasure.org", "code": "1"}


Resource = dict[str, Any]


def observations(diagnosis: Diagnosis, device: str) -> list[Resource]:
    """The observations of a diagnosis.

    Args:
        diagnosis: to write.
        device: the URL of the model's resource.
    """
    found = [_probability(name, value) for name, value in diagnosis.probabilities.items()]
    found += [
        _prediction(diagnosis),
        _unsure(diagnosis),
        _out_of_distribution(diagnosis),
        *_alert(diagnosis),
        *_quality(diagnosis),
        *([] if diagnosis.lesion is None else [lesion_observation(diagnosis.lesion)]),
    ]
    return [
        {
            "resourceType": "Observation",
            "status": "preliminary",
            "category": [{"coding": [hl7("observation-category", "imaging", "Imaging")]}],
            **each,
            "effectiveDateTime": diagnosis.time,
            "issued": diagnosis.time,
            "device": {"reference": device},
        }
        for each in found
    ]


def _probability(name: str, value: float) -> Resource:
    # The class is a component: as the observation's own code it would read as a finding of that class.
    return {
        "code": {"coding": [coding(PROBABILITY)], "text": f"Probability of {display_name(name)}"},
        "valueQuantity": dimensionless(value),
        "component": [{"code": {"text": "Class"}, "valueCodeableConcept": class_concept(name)}],
    }


def _prediction(diagnosis: Diagnosis) -> Resource:
    return {
        "code": {"text": "Most probable class"},
        "valueCodeableConcept": class_concept(diagnosis.prediction),
    }


def _unsure(diagnosis: Diagnosis) -> Resource:
    return {"code": {"text": UNDECIDED}} | _value(diagnosis.unsure)


def _out_of_distribution(diagnosis: Diagnosis) -> Resource:
    observation: Resource = {"code": {"text": "May be outside what the model has seen"}} | _value(
        diagnosis.outside
    )
    if diagnosis.outside_score is not None:
        score = {"code": {"text": "Score, higher is farther"}}
        observation["component"] = [score | {"valueQuantity": dimensionless(diagnosis.outside_score)}]
    return observation


def _alert(diagnosis: Diagnosis) -> list[Resource]:
    if diagnosis.alert_threshold is None or diagnosis.miss_rate is None:
        return []
    rate = diagnosis.miss_rate
    score, note = diagnosis.alert_score, diagnosis.alert_note
    whose = "clinic's" if score is None else "clinics'"
    without_prior = {} if score is None else {"Probability without the clinic's prior": score}
    numbers = {
        "Threshold": diagnosis.alert_threshold,
        **without_prior,
        f"Miss rate on the {whose} validation melanomas": rate.value,
        "Lower end of its 95 % interval": rate.low,
        "Upper end of its 95 % interval": rate.high,
        "Number of validation melanomas": float(rate.n),
    }
    components: list[Resource] = [
        {"code": {"text": name}, "valueQuantity": dimensionless(value)} for name, value in numbers.items()
    ]
    texts = {"Promise": rate.promise, **({"Note": note} if note else {})}
    components += [{"code": {"text": name}, "valueString": text} for name, text in texts.items()]
    alert = {"code": {"text": "Alert for melanoma"}, "component": components}
    return [alert | _value(diagnosis.alert)]


def _quality(diagnosis: Diagnosis) -> list[Resource]:
    components = [
        {"code": {"text": caution.code}, "valueString": caution.text} for caution in diagnosis.cautions
    ]
    return [{"code": {"text": "Image quality"}, "component": components}] if components else []


def _value(value: bool | None) -> Resource:
    if value is not None:
        return {"valueBoolean": value}
    return {"dataAbsentReason": {"coding": [hl7("data-absent-reason", "not-performed", "Not Performed")]}}
