"""The defences of a plan in sentences, for the dashboard and the commands."""

from __future__ import annotations

from collections.abc import Iterator

from dermafed.shared.protocol.offer import Offer
from dermafed.shared.protocol.robust_settings import MARGIN
from dermafed.shared.secure_sum.thresholds import LEAST_HONEST

_NOISE = {
    "clinic": "with noise at each clinic",
    "sum": "each round is one step, and each clinic adds a part of the noise to its sum",
}


def defence_words(offer: Offer) -> list[str]:
    """What protects the model from clinics, and clinics and patients from the server; may be empty."""
    return list(_words(offer))


def _words(offer: Offer) -> Iterator[str]:
    if offer.robust.active:
        yield (
            f"In place of the mean, the rule {offer.robust.rule} bears hostile clinics: "
            f"{offer.robust.hostile} at most."
        )
    if offer.groups > 1:
        yield (
            f"The rule compares secure sums over {offer.groups} groups of at least "
            f"{offer.privacy.colluders + LEAST_HONEST} clinics, which draw the groups anew in each round: "
            "the server sees the mean change of each group, and from many rounds, by their overlaps, more "
            "about a clinic than one sum over all shows. A round is rolled back if the balanced accuracy on "
            f"all validation images falls by more than {100 * MARGIN:g} points."
        )
    if offer.privacy.is_secure:
        yield (
            "The server sees secure sums over clinics, and no clinic's own values, even if as many clinics "
            f"act with it: {offer.privacy.colluders}."
        )
    if bits := offer.compression.bits:
        yield (
            f"Changes of the weights travel in {bits} bits each, rounded at random, so that they are right "
            "on average."
        )
    if (dp := offer.dp) is not None:
        yield (
            f"Each patient has differential privacy of epsilon {dp.epsilon:g} at delta {dp.delta:g}: the "
            f"last layer alone is trained, {_NOISE[dp.place]}."
        )


def rule_line(offer: Offer) -> str:
    """What a plan has against hostile clinics, as a line of a list; also where it has no rule."""
    robust = offer.robust
    rule = f"{robust.rule}, bears {robust.hostile} of them" if robust.active else "screening, then the mean"
    return f"against hostile clinics: {rule}"
