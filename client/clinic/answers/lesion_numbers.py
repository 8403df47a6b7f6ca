"""The measures of a lesion as named numbers with units, for FHIR and for the structured report."""

from __future__ import annotations

from typing import NamedTuple

from dermafed.shared.lesion_measures.measures import LesionMeasures


class LesionNumber(NamedTuple):
    """One number.

    Attributes:
        code: for machines.
        name: for people, at most 64 characters.
        value: the number.
        unit: of UCUM: ``mm``, ``mm2`` or ``1``.
    """

    code: str
    name: str
    value: float
    unit: str = "1"


def lesion_numbers(measures: LesionMeasures) -> list[LesionNumber]:
    """All that was measured; millimetres only where there is a scale."""
    border = measures.border
    return [
        *_in_millimetres(measures),
        LesionNumber("area-share", "Area as a share of what the model saw", measures.area),
        LesionNumber("diameter-share", "Largest diameter as a share of the longer side", measures.diameter),
        LesionNumber("irregularity", "Irregularity of the border, 1 for a disc", border.irregularity),
        LesionNumber("abrupt", "Eighths in which the border ends abruptly", float(border.abrupt)),
        LesionNumber("eighths", "Eighths whose border was looked at", float(border.segments)),
        *_about_the_axes(measures),
        *(
            LesionNumber(name.replace(" ", "-"), f"Share that is {name}", share)
            for name, share in measures.colours.items()
        ),
    ]


def _in_millimetres(measures: LesionMeasures) -> list[LesionNumber]:
    if measures.area_mm2 is None or measures.diameter_mm is None:
        return []
    return [
        LesionNumber("area", "Area", measures.area_mm2, "mm2"),
        LesionNumber("diameter", "Largest diameter", measures.diameter_mm, "mm"),
    ]


def _about_the_axes(measures: LesionMeasures) -> list[LesionNumber]:
    if measures.asymmetry is None:
        return []
    shape, colour = measures.asymmetry.shape, measures.asymmetry.colour
    return [
        LesionNumber("shape-1", "Share without a counterpart about the first axis", shape[0]),
        LesionNumber("shape-2", "Share without a counterpart about the second axis", shape[1]),
        LesionNumber("colour-1", "Colour difference (CIE 1976) about the first axis", colour[0]),
        LesionNumber("colour-2", "Colour difference (CIE 1976) about the second axis", colour[1]),
    ]
