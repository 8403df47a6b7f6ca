"""Standard codes, identifiers and sentences that all formats of an answer share.

A class without a code that is known for sure has its name only.

``tests/client/clinic/answers/test_codes.py`` compares each code with its source.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from dermafed.client.clinic.diagnosis.diagnosis import USE, Diagnosis
from dermafed.client.clinic.language.speech import N_
from dermafed.shared.lesions.diagnoses import canonical
from dermafed.shared.metrics.decision.lesion_scores import MELANOMA

SNOMED, DCM = "SCT", "DCM"  # as DICOM names the schemes

UNVERIFIED = N_("Made by a program; no clinician has verified it.")


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
UNDECIDED = "Undecided: no class is probable enough to rely on"
"""What a yes to ``unsure`` means."""

PROBABILITY = Concept(DCM, "122157", "Probability")


def concept_of(name: str) -> Concept | None:
    """The code of a model's class, if one is known for sure."""
    return _CLASSES.get(canonical(name))


def display_name(name: str) -> str:
    """The name of a class as people write it."""
    return name.replace("_", " ")


def uuid_of(diagnosis_id: str, part: str) -> uuid.UUID:
    """A part's UUID.

    Args:
        diagnosis_id: 32 hexadecimal digits.
        part: its name within the answer.
    """
    return uuid.uuid5(uuid.UUID(hex=diagnosis_id), part)


def uid_of(diagnosis_id: str, part: str) -> str:
    """A part's DICOM UID, derived from its UUID (PS3.5, annex B.2)."""
    return f"2.25.{uuid_of(diagnosis_id, part).int}"


def doubts(diagnosis: Diagnosis) -> list[str]:
    """What makes a diagnosis less sure, a sentence each."""
    return [*diagnosis.doubts, *(caution.text for caution in diagnosis.cautions)]


def conclusion(diagnosis: Diagnosis) -> str:
    """The diagnosis and its doubts in sentences."""
    likeliest = diagnosis.probabilities[diagnosis.prediction]
    first = f"Most probable of {len(diagnosis.probabilities)} classes: {display_name(diagnosis.prediction)}"
    alert = [alert_sentence(diagnosis)] if diagnosis.alert else []
    return " ".join([f"{first}, probability {likeliest:.2f}.", *alert, *doubts(diagnosis), UNVERIFIED, USE])


def alert_sentence(diagnosis: Diagnosis) -> str:
    """That the alert for melanoma is raised, at which threshold, and how often it missed one."""
    threshold, rate = diagnosis.alert_threshold, diagnosis.miss_rate
    assert threshold is not None
    assert rate is not None
    missed = f"the alert missed {rate.value:.1%} (95 % interval {rate.low:.1%} to {rate.high:.1%})."
    if diagnosis.alert_score is not None:
        return (
            "Alert for melanoma: its probability as if all diagnoses were equally frequent, "
            f"{diagnosis.alert_score:.3f}, reaches the threshold of all clinics, {threshold:.3f}. "
            f"Of {rate.n} melanomas in their validation images {missed} {diagnosis.alert_note}."
        )
    probability = diagnosis.probabilities[MELANOMA]
    return (
        f"Alert for melanoma: its probability, {probability:.3f}, reaches this clinic's threshold, "
        f"{threshold:.3f}. Of {rate.n} melanomas in the clinic's validation images {missed}"
    )
