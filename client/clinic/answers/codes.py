"""The standard codes that answers carry; where none is known for sure, a class has its name only.

``tests/client/clinic/answers/test_codes.py`` holds each code against where it was looked up.
"""

from __future__ import annotations

from dataclasses import dataclass

from dermafed.shared.lesions.diagnoses import canonical

SNOMED, DCM = "SCT", "DCM"  # as DICOM names the schemes


@dataclass(frozen=True, slots=True)
class Concept:
    """A concept of a code system.

    Attributes:
        scheme: as DICOM names it: ``SCT`` or ``DCM``.
        code: its code there.
        meaning: its name there.
    """

    scheme: str
    code: str
    meaning: str


# Forms of lesions rather than disorders: a probability of a form asserts no disease. One hierarchy for all.
_CLASSES = {
    "melanoma": Concept(SNOMED, "1162635006", "Malignant melanoma"),
    "nevus": Concept(SNOMED, "1163403006", "Pigmented nevus"),
    "seborrheic_keratosis": Concept(SNOMED, "25499005", "Seborrheic keratosis"),
    "basal_cell_carcinoma": Concept(SNOMED, "1338007", "Basal cell carcinoma"),
    "squamous_cell_carcinoma": Concept(SNOMED, "1162767002", "Squamous cell carcinoma"),
}

DERMOSCOPY = Concept(SNOMED, "1237125003", "Dermatoscopy of skin")
PROBABILITY = Concept(DCM, "122157", "Probability")


def concept_of(name: str) -> Concept | None:
    """The code of a model's class, if one is known for sure."""
    return _CLASSES.get(canonical(name))


def spoken(name: str) -> str:
    """The name of a class as people write it."""
    return name.replace("_", " ")
