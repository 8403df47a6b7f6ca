"""What stands above every answer: melanoma first, and how many melanomas the clinic's alert missed.

It never reassures: without an alert it says what the alert has missed, and where nothing was measured, that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from dermafed.client.clinic.answers.percent import percent, percents_apart, share_range
from dermafed.client.clinic.diagnosis.diagnosis import Diagnosis, MissRate
from dermafed.shared.metrics.decision.lesion_scores import MELANOMA

State = Literal["alert", "below", "unmeasured", "unknown"]

UNRELIABLE = "How many melanomas the model misses in such images was not measured."
_HEADLINES: dict[State, str] = {
    "alert": "Alert: melanoma not excluded",
    "below": "Below the alert threshold; melanoma not excluded",
    "unmeasured": "Melanoma not excluded: there is no alert threshold",
    "unknown": "This model does not know melanoma",
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
        return _line("unknown", "It can neither find nor exclude one.")
    probability, threshold = diagnosis.probabilities[MELANOMA], diagnosis.alert_threshold
    if threshold is None or diagnosis.miss_rate is None:
        why = "Nobody has measured how many melanomas the model misses at this clinic."
        return _line("unmeasured", f"Probability of melanoma {percent(probability)}. {why}")
    state: State = "alert" if diagnosis.alert else "below"
    missed, proof = _missed(diagnosis.miss_rate), f"{diagnosis.miss_rate.promise}."
    if diagnosis.alert_score is None:
        shown, limit = percents_apart(probability, threshold)
        figures = f"Probability of melanoma {shown}; this clinic alerts from {limit}. "
        found = _line(state, figures + missed.format("at this clinic"), proof)
    else:
        shown, limit = percents_apart(diagnosis.alert_score, threshold)
        figures = (
            f"Probability of melanoma {percent(probability)}; as if all diagnoses were equally frequent "
            f"{shown}, and the alert of all clinics starts at {limit}. "
        )
        found = _line(state, figures + missed.format("of all clinics"), f"{diagnosis.alert_note}. {proof}")
    if state == "below" and diagnosis.unreliable:
        return MelanomaLine(state, "Melanoma not excluded", found.figures, found.proof)
    return found


def _line(state: State, figures: str, proof: str = "") -> MelanomaLine:
    return MelanomaLine(state, _HEADLINES[state], figures, proof)


def _missed(rate: MissRate) -> str:
    """What the alert found and missed; ``{}`` is where."""
    missed = round(rate.value * rate.n)
    share = share_range(rate.low, rate.high)
    return (
        f"Of {rate.n} melanomas {{}} the alert found {rate.n - missed} and missed {missed} "
        f"(95 % interval of the share missed: {share})."
    )
