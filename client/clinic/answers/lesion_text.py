"""The measures of a lesion in words, for the page."""

from __future__ import annotations

from dermafed.client.clinic.diagnosis.lesion import Lesion
from dermafed.client.clinic.language.speech import N_, gettext, number
from dermafed.client.clinic.language.terms import term
from dermafed.shared.lesion_measures.asymmetry import Asymmetry
from dermafed.shared.lesion_measures.border import Border
from dermafed.shared.lesion_measures.colours import shown_colours
from dermafed.shared.lesion_measures.measures import LesionMeasures

LESION_CAVEAT = N_(
    "Measured by a program along an outline that it found itself, after parts A, B and C of the ABCD rule. "
    "Small errors of the outline change irregularity and asymmetry of shape much. "
    "No score, no criterion, and not compared with pathology."
)


def lesion_rows(lesion: Lesion) -> list[tuple[str, str]]:
    """What was measured, each with its name; nothing if no lesion was found."""
    measures = lesion.measures
    if measures is None:
        return []
    return [
        (gettext("Area"), _at_least(_area(measures), measures.whole)),
        (gettext("Largest diameter"), _at_least(_diameter(measures), measures.whole)),
        *_asymmetry(measures.asymmetry),
        (gettext("Border"), _border(measures.border, measures.whole)),
        (gettext("Colours"), _colours(measures.colours)),
        *_several(lesion.lesions),
    ]


def _at_least(measured: str, whole: bool) -> str:
    return measured if whole else gettext("at least %(measured)s", measured=measured)


def _area(measures: LesionMeasures) -> str:
    share = number(100 * measures.area)
    if measures.area_mm2 is None:
        return gettext("%(share)s%% of what the model saw", share=share)
    return gettext(
        "%(area)s mm², %(share)s%% of what the model saw", area=number(measures.area_mm2, 1), share=share
    )


def _diameter(measures: LesionMeasures) -> str:
    if measures.diameter_mm is not None:
        return f"{number(measures.diameter_mm, 1)} mm"
    share = number(measures.diameter, 2)
    return gettext("%(share)s of the side of what the model saw; no scale", share=share)


def _asymmetry(asymmetry: Asymmetry | None) -> list[tuple[str, str]]:
    if asymmetry is None:
        says = gettext("not measured: the lesion reaches beyond what the model saw")
        return [(gettext("Asymmetry"), says)]
    shape, colour = asymmetry.shape, asymmetry.colour
    return [
        (
            gettext("Asymmetry, shape"),
            gettext(
                "%(first)s%% and %(second)s%% without a counterpart, about two axes",
                first=number(100 * shape[0]), second=number(100 * shape[1]),
            ),
        ),
        (
            gettext("Asymmetry, colour"),
            gettext(
                "difference %(first)s and %(second)s, about the same axes",
                first=number(colour[0]), second=number(colour[1]),
            ),
        ),
    ]  # fmt: skip


def _border(border: Border, whole: bool) -> str:
    counts = {"abrupt": border.abrupt, "segments": border.segments}
    if not whole:
        return gettext("abrupt in %(abrupt)s of %(segments)s segments", **counts)
    return gettext(
        "irregularity %(irregularity)s (a disc has 1); abrupt in %(abrupt)s of %(segments)s segments",
        irregularity=number(border.irregularity, 2), **counts,
    )  # fmt: skip


def _colours(colours: dict[str, float]) -> str:
    shown = sorted(shown_colours(colours), key=lambda name: -colours[name])
    shares = (
        gettext("%(colour)s %(share)s%%", colour=term(name), share=number(100 * colours[name]))
        for name in shown
    )
    return ", ".join(shares) or gettext("none of the six")


def _several(lesions: int) -> list[tuple[str, str]]:
    if lesions < 2:
        return []
    return [(gettext("Lesions"), gettext("%(count)s; this is the largest", count=lesions))]
