"""The defences of a plan in sentences, for the dashboard and the commands."""

from __future__ import annotations

from collections.abc import Iterator

from dermafed.shared.protocol.offer import Offer


def defence_words(offer: Offer) -> list[str]:
    """What protects the model from clinics, and clinics and patients from the server; may be empty."""
    return list(_words(offer))


def _words(offer: Offer) -> Iterator[str]:
    if offer.robust.active:
        yield (
            f"In place of the mean, the rule {offer.robust.rule} bears hostile clinics: "
            f"{offer.robust.hostile} at most."
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
            "last layer alone is trained, with noise at each clinic."
        )
