"""A diagnosis in sentences, for the fields that people read."""

from __future__ import annotations

from dermafed.client.clinic.answers.codes import spoken
from dermafed.client.clinic.diagnosis.diagnosis import USE, Diagnosis

UNVERIFIED = "Made by a program; no clinician has verified it."


def doubts(diagnosis: Diagnosis) -> list[str]:
    """What makes a diagnosis less sure, a sentence each."""
    said = []
    if diagnosis.unsure:
        said.append("The probabilities are too close to call: the model is unsure.")
    if diagnosis.outside:
        said.append("The image may be outside what the model has seen.")
    return said + [caution.text for caution in diagnosis.cautions]


def conclusion(diagnosis: Diagnosis) -> str:
    """The diagnosis, its doubts, and what it is not."""
    likeliest = diagnosis.probabilities[diagnosis.prediction]
    first = f"Most probable of {len(diagnosis.probabilities)} classes: {spoken(diagnosis.prediction)}"
    return " ".join([f"{first}, probability {likeliest:.2f}.", *doubts(diagnosis), UNVERIFIED, USE])


def version(diagnosis: Diagnosis) -> str:
    """Which weights said it."""
    return f"round {diagnosis.model.round}, sha256 {diagnosis.model.sha256}"
