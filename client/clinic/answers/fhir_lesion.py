"""The lesion of a diagnosis in FHIR R4: an observation with its measures, and its mask as a picture."""

from __future__ import annotations

from typing import Any

from dermafed.client.clinic.answers.lesion_numbers import lesion_numbers
from dermafed.client.clinic.answers.lesion_text import LESION_CAVEAT
from dermafed.client.clinic.diagnosis.lesion import Lesion
from dermafed.shared.lesion_measures.measures import LesionMeasures

Resource = dict[str, Any]

MASK_TITLE = "Where the lesion is: white; found by a program, not verified"


def lesion_observation(lesion: Lesion) -> Resource:
    """Whether a lesion was found, and what was measured of it, in UCUM's units."""
    observation: Resource = {
        "code": {"text": "A lesion was found in the image"},
        "valueBoolean": lesion.measures is not None,
    }
    if lesion.measures is None:
        return observation | {"note": [{"text": f"No lesion was found: {lesion.reason}."}]}
    return observation | {"component": _components(lesion.measures), "note": [{"text": LESION_CAVEAT}]}


def _components(measures: LesionMeasures) -> list[Resource]:
    whole = {"code": {"text": "All of the lesion is in the image"}, "valueBoolean": measures.whole}
    numbers = [
        {"code": {"text": each.name}, "valueQuantity": _quantity(each.value, each.unit)}
        for each in lesion_numbers(measures)
    ]
    return [whole, *numbers]


def _quantity(value: float, unit: str) -> Resource:
    return {"value": value, "unit": unit, "system": "http://unitsofmeasure.org", "code": unit}
