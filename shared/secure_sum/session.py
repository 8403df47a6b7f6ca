"""A session: the clinics that take part in one attempt, with their keys and the graph that joins them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from dermafed.shared.errors import FederationError
from dermafed.shared.secure_sum.adverts import Advert, Cohort, is_signed_advert
from dermafed.shared.secure_sum.context import KeyContext
from dermafed.shared.secure_sum.graph import Graph, draw_graph
from dermafed.shared.secure_sum.hashing import DIGEST_BYTES, digest
from dermafed.shared.secure_sum.reveals import Reveals, is_revealed, revealing
from dermafed.shared.secure_sum.terms import Terms


@dataclass(frozen=True)
class Session:
    """What all clinics of an attempt have in common after step 1.

    Attributes:
        terms: what was approved.
        context: the key context.
        adverts: those who take part, by their places in the roster.
        graph: who is joined to whom, those who do not take part included.
        digest: SHA-256 of context, adverts and graph, 32 bytes: it is in all keys, shares and signatures that
            follow, so that clinics which were told different things have nothing in common.
        threshold: how many clinics must be in the sum, and must agree on who is.
    """

    terms: Terms
    context: KeyContext
    adverts: dict[int, Advert]
    graph: Graph
    digest: bytes
    threshold: int

    def peers_of(self, clinic: int) -> tuple[int, ...]:
        """The peers of a clinic that take part, in ascending order."""
        return tuple(peer for peer in self.graph.peers_of(clinic) if peer in self.adverts)

    def holders(self, clinic: int) -> tuple[int, ...]:
        """The holders of a clinic's shares that take part, in ascending order."""
        return tuple(holder for holder in self.graph.holders(clinic) if holder in self.adverts)

    def check_signed(self, clinics: Iterable[int]) -> None:
        """Refuse keys that were not signed by the clinic that they are said to be of.

        Raises:
            FederationError: the first of them.
        """
        for clinic in clinics:
            key = self.terms.roster.keys[clinic]
            if not is_signed_advert(key, self.context.digest, self.adverts[clinic]):
                raise refused(
                    f"The keys of '{self.terms.roster.names[clinic]}' are not signed by it",
                    "Somebody else wants to read what is meant for it: find out who runs the server",
                )


def check_cohort(terms: Terms, cohort: Cohort) -> None:
    """Refuse a cohort that is too small, or has clinics that are not in the roster, or a key twice.

    Raises:
        FederationError: see above.
    """
    adverts = cohort.adverts
    if any(advert.clinic >= len(terms.roster) for advert in adverts):
        raise refused("The server's list of keys has a clinic that is not in the roster", _ASK)
    if len(adverts) < terms.threshold:
        raise refused(
            f"The server's list of keys has {len(adverts)} clinics of the {terms.threshold} that a sum needs",
            "Wait until more clinics are connected",
        )
    keys = {key for advert in adverts for key in (advert.share_key, advert.mask_key)}
    if len(keys) < 2 * len(adverts):
        raise refused("The server's list has the same key twice", _ASK)


def open_session(terms: Terms, context: KeyContext, cohort: Cohort, reveals: Reveals) -> Session:
    """The session of a cohort, whose signatures are not checked here.

    Args:
        terms: what was approved.
        context: the key context.
        cohort: checked by :func:`check_cohort`.
        reveals: the parts of the graph's seed, where the terms draw a graph; else none.

    Raises:
        FederationError: a part of the seed is missing, or is not the one that its clinic committed to.
    """
    adverts = {advert.clinic: advert for advert in cohort.adverts}
    if terms.draws_graph:
        _check_reveals(terms, context, cohort, reveals)
    seed = digest("session", context.digest, cohort.digest, reveals.to_bytes())
    graph = draw_graph(len(terms.roster), terms.colluders, seed)
    return Session(terms, context, adverts, graph, seed, terms.threshold)


def no_commitment() -> bytes:
    """What stands in an advert where all pairs share masks."""
    return bytes(DIGEST_BYTES)


def refused(what: str, remedy: str) -> FederationError:
    """A clinic's or the server's refusal to go on with a sum."""
    return FederationError(what, where="secure sum", remedy=remedy)


_ASK = "Ask the coordinator which clinics take part; nothing was sent but keys"


def _check_reveals(terms: Terms, context: KeyContext, cohort: Cohort, reveals: Reveals) -> None:
    if tuple(each.clinic for each in reveals.reveals) != revealing(cohort, terms.drawing):
        raise refused("The graph's seed lacks a clinic's part, or has one too many", _AGAIN)
    for reveal in reveals.reveals:
        if not is_revealed(terms.roster.keys[reveal.clinic], context.digest, cohort, reveal):
            name = terms.roster.names[reveal.clinic]
            raise refused(f"A part of the graph's seed is not the one that '{name}' committed to", _AGAIN)


_AGAIN = "Begin the round again, without the clinics that do not reply"
