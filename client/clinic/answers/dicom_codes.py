"""Codes as DICOM's structured reports write them; what no standard names has a code of DermaFed's own."""

from __future__ import annotations

from highdicom.sr import CodedConcept
from pydicom import Dataset
from pydicom.sr.codedict import codes

from dermafed.client.clinic.answers.codes import Concept, concept_of, spoken
from dermafed.client.clinic.answers.source import text

OWN = "99DERMAFED"  # PS3.16, section 8: a scheme of one's own begins with 99


def own(code: str, meaning: str) -> CodedConcept:
    """A concept of DermaFed's own."""
    return CodedConcept(text(code), OWN, text(meaning))


CLASS = own("class", "Class")
PREDICTION = own("prediction", "Most probable class")
UNSURE = own("unsure", "Too close to call: the model is unsure")
OUTSIDE = own("outside", "May be outside what the model has seen")
QUALITY = own("quality", "Image quality")


def coded(concept: Concept) -> CodedConcept:
    """A standard concept."""
    return CodedConcept(concept.code, concept.scheme, concept.meaning)


def class_code(name: str) -> CodedConcept:
    """A class by its code where one is known for sure, else by its name."""
    concept = concept_of(name)
    return own(name, spoken(name)) if concept is None else coded(concept)


def yes_or_no(value: bool) -> CodedConcept:
    """A judgement."""
    return CodedConcept.from_code(codes.SCT.Yes if value else codes.SCT.No)


def own_scheme() -> Dataset:
    """Whose codes those of DermaFed are."""
    item = Dataset()
    item.CodingSchemeDesignator, item.CodingSchemeName = OWN, "DermaFed"
    item.CodingSchemeResponsibleOrganization = "DermaFed"
    return item
