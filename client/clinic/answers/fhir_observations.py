"""What a diagnosis says as FHIR R4 Observations: a probability each class, and every doubt."""

from __future__ import annotations

from typing import Any

from dermafed.client.clinic.answers.codes import PROBABILITY, spoken
from dermafed.client.clinic.answers.fhir_codes import class_concept, coding, dimensionless, hl7
from dermafed.client.clinic.diagnosis.diagnosis import Diagnosis

Resource = dict[str, Any]


def observations(diagnosis: Diagnosis, device: str) -> list[Resource]:
    """The observations of a diagnosis.

    Args:
        diagnosis: what was said.
        device: the URL of the model's resource.
    """
    said = [_probability(name, value) for name, value in diagnosis.probabilities.items()]
    said += [_prediction(diagnosis), _unsure(diagnosis), _outside(diagnosis), *_quality(diagnosis)]
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
        for each in said
    ]


def _probability(name: str, value: float) -> Resource:
    # The class is a component: as the observation's own code it would read as a finding of that class.
    return {
        "code": {"coding": [coding(PROBABILITY)], "text": f"Probability of {spoken(name)}"},
        "valueQuantity": dimensionless(value),
        "component": [{"code": {"text": "Class"}, "valueCodeableConcept": class_concept(name)}],
    }


def _prediction(diagnosis: Diagnosis) -> Resource:
    return {
        "code": {"text": "Most probable class"},
        "valueCodeableConcept": class_concept(diagnosis.prediction),
    }


def _unsure(diagnosis: Diagnosis) -> Resource:
    return {"code": {"text": "Too close to call: the model is unsure"}} | _judged(diagnosis.unsure)


def _outside(diagnosis: Diagnosis) -> Resource:
    said: Resource = {"code": {"text": "May be outside what the model has seen"}} | _judged(diagnosis.outside)
    if diagnosis.outside_score is not None:
        score = {"code": {"text": "Score, higher is farther"}}
        said["component"] = [score | {"valueQuantity": dimensionless(diagnosis.outside_score)}]
    return said


def _quality(diagnosis: Diagnosis) -> list[Resource]:
    components = [
        {"code": {"text": caution.code}, "valueString": caution.text} for caution in diagnosis.cautions
    ]
    return [{"code": {"text": "Image quality"}, "component": components}] if components else []


def _judged(value: bool | None) -> Resource:
    if value is not None:
        return {"valueBoolean": value}
    return {"dataAbsentReason": {"coding": [hl7("data-absent-reason", "not-performed", "Not Performed")]}}
