"""What an approved plan allows a server to ask for."""

from __future__ import annotations

from flwr.app import MessageType

from dermafed.client.node.answered import Asked
from dermafed.client.node.replying import NotApproved
from dermafed.shared.protocol.messages import (
    AUDIT_QUERY,
    EXPLAIN_QUERY,
    HEAD_TRAIN,
    LESIONS_QUERY,
    SLOPES_TRAIN,
)
from dermafed.shared.protocol.offer import Offer
from dermafed.shared.protocol.plan import EXACT_HEAD
from dermafed.shared.protocol.sum_messages import SumAttempt


def check_asked(offer: Offer, asked: Asked, kind: str) -> None:
    """Check a message of a round, or of what comes after the last one.

    Args:
        offer: what the clinic approved.
        asked: what the server asks for.
        kind: the type of its message.

    Raises:
        NotApproved: it is not part of the plan.
    """
    if offer.privacy.is_secure:
        raise NotApproved("The plan has secure sums, and sends nothing by itself", where=offer.name)
    of_head, refits = kind in (HEAD_TRAIN, SLOPES_TRAIN), offer.refit != "none"
    last = offer.rounds + (refits and kind != MessageType.TRAIN)  # the last layer anew is a round of its own
    if not 1 <= asked.round <= last:
        raise NotApproved(f"Round {asked.round} of a plan of {offer.rounds}", where=offer.name)
    if of_head and not refits and (offer.strategy != EXACT_HEAD or kind == SLOPES_TRAIN):
        raise NotApproved("The exact head is not part of the plan", where=offer.name)
    if kind == EXPLAIN_QUERY and not offer.explain:
        raise NotApproved("Explanations are not part of the plan", where=offer.name)
    if kind == LESIONS_QUERY and not offer.lesion_finder:
        raise NotApproved("A lesion finder is not part of the plan", where=offer.name)
    if kind == AUDIT_QUERY and not offer.audit_model:
        raise NotApproved("An audit is not part of the plan", where=offer.name)


def check_sum(offer: Offer, of: SumAttempt) -> None:
    """Check a message of a secure sum.

    Raises:
        NotApproved: the plan has no such sum.
    """
    rounds = range(1) if of.label == "counts" else range(1, offer.rounds + 1)
    if not offer.privacy.is_secure or of.round not in rounds:
        raise NotApproved(f"No secure sum of round {of.round} in the plan", where=offer.name)
