"""What stands above every answer: melanoma first, and how many melanomas the clinic's alert missed.

It never reassures: without an alert it says what the alert has missed, and where nothing was measured, that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from dermafed.client.clinic.answers.percent import percent, percents_apart
from dermafed.client.clinic.diagnosis.diagnosis import Diagnosis, MissRate
from dermafed.client.clinic.language.speech import N_, gettext, ngettext, number
from dermafed.client.clinic.language.stored import retell
from dermafed.shared.metrics.decision.lesion_scores import MELANOMA

State = Literal["alert", "below", "unmeasured", "unknown"]

UNRELIABLE = N_("How many melanomas the model misses in such images was not measured.")
_HEADLINES: dict[State, str] = {
    "alert": N_("Alert: melanoma not excluded"),
    "below": N_("Below the alert threshold; melanoma not excluded"),
    "unmeasured": N_("Melanoma not excluded: there is no alert threshold"),
    "unknown": N_("This model does not know melanoma"),
}


@dataclass(frozen=True, slots=True)
class MelanomaLine:
    """The line about melanoma above an answer.

    Attributes:
        state: ``alert``; ``below`` its threshold; ``unmeasured``: no threshold could be fitted; ``unknown``:
            the model has no class melanoma.
        headline: the line itself.
        figures: the probability, the threshold, and how many melanomas the alert found and missed.
        proof: what can be promised of the alert; empty without one.
    """

    state: State
    headline: str
    figures: str
    proof: str = ""


def melanoma_line(diagnosis: Diagnosis) -> MelanomaLine:
    """The line above a diagnosis.

    Where the model cannot judge the image, the headline says no more than an alert would allow, and the
    figures are to be folded away.
    """
    if MELANOMA not in diagnosis.probabilities:
        return _line("unknown", gettext("It can neither find nor exclude one."))
    probability = diagnosis.probabilities[MELANOMA]
    threshold, rate = diagnosis.alert_threshold, diagnosis.miss_rate
    if threshold is None or rate is None:
        why = gettext("Nobody has measured how many melanomas the model misses at this clinic.")
        shown = gettext("Probability of melanoma %(probability)s.", probability=percent(probability))
        return _line("unmeasured", f"{shown} {why}")
    figures = f"{_reached(diagnosis, probability, threshold)} {_missed(rate, diagnosis.alert_score is None)}"
    notes = (diagnosis.alert_note if diagnosis.alert_score is not None else None, rate.promise)
    proof = " ".join(f"{retell(each)}." for each in notes if each is not None)
    if not diagnosis.alert and diagnosis.unreliable:
        return MelanomaLine("below", gettext("Melanoma not excluded"), figures, proof)
    return _line("alert" if diagnosis.alert else "below", figures, proof)


def _line(state: State, figures: str, proof: str = "") -> MelanomaLine:
    return MelanomaLine(state, gettext(_HEADLINES[state]), figures, proof)


def _reached(diagnosis: Diagnosis, probability: float, threshold: float) -> str:
    """The probability, and from which one on the alert is raised."""
    if diagnosis.alert_score is None:
        shown, limit = percents_apart(probability, threshold)
        return gettext(
            "Probability of melanoma %(probability)s; this clinic alerts from %(threshold)s.",
            probability=shown, threshold=limit,
        )  # fmt: skip
    shown, limit = percents_apart(diagnosis.alert_score, threshold)
    return gettext(
        "Probability of melanoma %(probability)s; as if all diagnoses were equally frequent %(score)s, and "
        "the alert of all clinics starts at %(threshold)s.",
        probability=percent(probability), score=shown, threshold=limit,
    )  # fmt: skip


def _missed(rate: MissRate, own: bool) -> str:
    """What the alert found and missed; `own`: of this clinic's melanomas, else of all clinics'."""
    missed = round(rate.value * rate.n)
    counts = {"found": rate.n - missed, "missed": missed}
    ends = {"low": number(100 * rate.low), "high": number(100 * rate.high)}
    if own:
        return ngettext(
            "Of %(num)s melanoma at this clinic the alert found %(found)s and missed %(missed)s "
            "(95 %% interval of the share missed: %(low)s to %(high)s %%).",
            "Of %(num)s melanomas at this clinic the alert found %(found)s and missed %(missed)s "
            "(95 %% interval of the share missed: %(low)s to %(high)s %%).",
            rate.n, **counts, **ends,
        )  # fmt: skip
    return ngettext(
        "Of %(num)s melanoma of all clinics the alert found %(found)s and missed %(missed)s "
        "(95 %% interval of the share missed: %(low)s to %(high)s %%).",
        "Of %(num)s melanomas of all clinics the alert found %(found)s and missed %(missed)s "
        "(95 %% interval of the share missed: %(low)s to %(high)s %%).",
        rate.n, **counts, **ends,
    )  # fmt: skip
