"""The roster of a plan with secure sums, as the clinic that approves it sees it.

Masks hide a clinic among the others of the roster. Whoever makes up a roster of his own clinics would see
its values in clear: so a person compares the keys, and the clinic's limits approve no roster that no person
has approved here.
"""

from __future__ import annotations

from collections.abc import Iterator

from dermafed.client.node.home import Home, read_settings
from dermafed.client.node.offers import Offers
from dermafed.shared.errors import SettingsError
from dermafed.shared.protocol.agreement import Decision
from dermafed.shared.protocol.node_key import fingerprint, read_public_key
from dermafed.shared.protocol.offer import Offer
from dermafed.shared.secure_sum.thresholds import LEAST_HONEST, least_survivors


def roster_faults(home: Home, offer: Offer) -> list[str]:
    """Why nobody here can approve an offer's secure sums, as phrases for people; empty if nothing."""
    if not offer.privacy.is_secure:
        return []
    own = offer.roster.get(read_settings(home).clinic)
    if own is None:
        return ["secure sums among other clinics than this one"]
    if own != read_public_key(home.public_key):
        return ["secure sums with another key of this clinic than its own"]
    return []


def is_known_roster(offers: Offers, offer: Offer) -> bool:
    """Whether a person here approved a plan with this roster, no more colluders and no fewer groups."""
    try:
        stored = offers.load_all().values()
    except SettingsError:  # one of them is damaged: a person looks
        return False
    return any(
        known.by == "person"
        and known.decision is Decision.APPROVED
        and known.offer.roster == offer.roster
        and known.offer.privacy.colluders <= offer.privacy.colluders
        and known.offer.groups >= offer.groups
        for known in stored
    )


def describe_sums(offer: Offer) -> Iterator[str]:
    """The secure sums of an offer, in lines for the person who decides."""
    if not offer.privacy.is_secure:
        yield "aggregation: plain: the server sees what this clinic sends by itself"
        return
    clinics, colluders = len(offer.roster), offer.privacy.colluders
    if clinics:
        least = least_survivors(clinics, colluders)
        yield f"aggregation: secure: the server sees sums over at least {least} of these {clinics} clinics"
        if offer.groups > 1:
            size = colluders + LEAST_HONEST
            yield f"    and of updates over {offer.groups} groups, drawn each round, of {size} or more"
    yield f"    up to {colluders} of them may act with the server: compare the keys of those you trust"
    for name, key in sorted(offer.roster.items()):
        yield f"    {name}: {fingerprint(key)}"
