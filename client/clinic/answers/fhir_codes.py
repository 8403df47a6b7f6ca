"""Codes as FHIR R4 writes them."""

from __future__ import annotations

from typing import Any

from dermafed.client.clinic.answers.codes import DCM, SNOMED, Concept, concept_of, spoken

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
    return {"text": spoken(name)} | ({} if concept is None else {"coding": [coding(concept)]})


def dimensionless(value: float) -> dict[str, Any]:
    """A number without a unit as a Quantity, in UCUM."""
    return {"value": value, "unit": "1", "system": "http://unitsofmeasure.org", "code": "1"}
