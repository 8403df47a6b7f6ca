"""A clinic's policy: what it says to an offer before a person has said anything."""

from __future__ import annotations

from dermafed.client.node.limits import Limits
from dermafed.shared.protocol.agreement import Decision, Reason
from dermafed.shared.protocol.messages import SENT
from dermafed.shared.protocol.offer import Offer


def beyond_limits(offer: Offer, limits: Limits) -> list[str]:
    """What of an offer the limits do not allow, in words; empty if it keeps them."""
    epsilon, most = offer.epsilon, limits.max_epsilon
    faults = {
        f"{offer.rounds} rounds, at most {limits.max_rounds}": offer.rounds > limits.max_rounds,
        f"{offer.recipe.epochs:g} epochs a round, at most {limits.max_epochs:g}": (
            offer.recipe.epochs > limits.max_epochs
        ),
        f"{offer.recipe.steps} steps a round, however few images": offer.recipe.steps is not None,
        f"images of {offer.model.image_size} pixels, at most {limits.max_image_size}": (
            offer.model.image_size > limits.max_image_size
        ),
        f"the strategy {offer.strategy}": offer.strategy not in limits.strategies,
        "explanations": offer.explain and not limits.explain,
        "clinical metadata": offer.model.metadata and not limits.metadata,
        f"no differential privacy, epsilon at most {most}": most is not None and epsilon is None,
        f"epsilon {epsilon}, at most {most}": None not in (most, epsilon) and not epsilon <= most,  # type: ignore[operator]
    }
    return [fault for fault, found in faults.items() if found]


def decide(offer: Offer, limits: Limits) -> tuple[Decision, Reason]:
    """What the clinic answers to an offer before a person has said anything."""
    if set(offer.sends) != set(SENT):  # the list that people approve must be what this node's code sends
        return Decision.REFUSED, Reason.OTHER_VERSION
    if limits.policy == "ask":
        return Decision.WAITING, Reason.ASKS_A_PERSON
    if beyond_limits(offer, limits):
        return Decision.REFUSED, Reason.BEYOND_LIMITS
    return Decision.APPROVED, Reason.NONE
