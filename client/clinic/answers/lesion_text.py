"""The measures of a lesion in words, for the page and for FHIR."""

from __future__ import annotations

from dermafed.client.clinic.diagnosis.lesion import Lesion
from dermafed.shared.lesion_measures.asymmetry import Asymmetry
from dermafed.shared.lesion_measures.border import Border
from dermafed.shared.lesion_measures.colours import shown_colours
from dermafed.shared.lesion_measures.measures import LesionMeasures

LESION_CAVEAT = (
    "Measured by a program along an outline that it found itself, after parts A, B and C of the ABCD rule. "
    "Small errors of the outline change irregularity and asymmetry of shape much. "
    "No score, no criterion, and not compared with pathology."
)


def lesion_rows(lesion: Lesion) -> list[tuple[str, str]]:
    """What was measured, each with its name; nothing if no lesion was found."""
    measures = lesion.measures
    if measures is None:
        return []
    at_least = "" if measures.whole else "at least "
    return [
        ("Area", at_least + _area(measures)),
        ("Largest diameter", at_least + _diameter(measures)),
        *_asymmetry(measures.asymmetry),
        ("Border", _border(measures.border, measures.whole)),
        ("Colours", _colours(measures.colours)),
        *([("Lesions", f"{lesion.lesions}; this is the largest")] if lesion.lesions > 1 else []),
    ]


def _area(measures: LesionMeasures) -> str:
    share = f"{measures.area:.0%} of what the model saw"
    return share if measures.area_mm2 is None else f"{measures.area_mm2:.1f} mm², {share}"


def _diameter(measures: LesionMeasures) -> str:
    share = f"{measures.diameter:.2f} of the side of what the model saw"
    return f"{share}; no scale" if measures.diameter_mm is None else f"{measures.diameter_mm:.1f} mm"


def _asymmetry(asymmetry: Asymmetry | None) -> list[tuple[str, str]]:
    if asymmetry is None:
        return [("Asymmetry", "not measured: the lesion reaches beyond what the model saw")]
    shape, colour = asymmetry.shape, asymmetry.colour
    return [
        ("Asymmetry, shape", f"{shape[0]:.0%} and {shape[1]:.0%} without a counterpart, about two axes"),
        ("Asymmetry, colour", f"difference {colour[0]:.0f} and {colour[1]:.0f}, about the same axes"),
    ]


def _border(border: Border, whole: bool) -> str:
    irregularity = f"irregularity {border.irregularity:.2f} (a disc has 1); " if whole else ""
    return f"{irregularity}abrupt in {border.abrupt} of {border.segments} segments"


def _colours(colours: dict[str, float]) -> str:
    shown = sorted(shown_colours(colours), key=lambda name: -colours[name])
    return ", ".join(f"{name} {colours[name]:.0%}" for name in shown) or "none of the six"
