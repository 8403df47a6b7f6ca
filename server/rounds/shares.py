"""Each clinic's weight in the mean, as the server computes it from what the clinics agreed to, and its cap.

A clinic's own word about its weight counts for nothing: the class counts of the agreement and the plan's
balance give it. No clinic's share is above ``largest_share``, or above an equal share where so few clinics
take part that this is more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol, Self, TypeVar

from dermafed.shared.errors import FederationError
from dermafed.shared.training.clinic_weight import clinic_weight


class Sums(Protocol):
    """Sums over a clinic's images, linear in the images' weights."""

    def times(self, factor: float) -> Self:
        """As if every image weighed so much more."""


S = TypeVar("S", bound=Sums)


@dataclass(frozen=True, slots=True)
class Member:
    """A clinic of a run, by the agreement.

    Attributes:
        images: number of its training images.
        weight: its weight in the mean, before any cap.
    """

    images: int
    weight: int


def members_of(counts: Mapping[str, Sequence[int]], balance: str) -> dict[str, Member]:
    """The members of a run.

    Args:
        counts: each clinic's training images of each class, by name.
        balance: the recipe's ``balance``.
    """
    everywhere = [sum(column) for column in zip(*counts.values(), strict=True)]
    return {
        name: Member(int(sum(own)), clinic_weight(own, everywhere, balance)) for name, own in counts.items()
    }


def check_told(clinic: str, images: int, members: Mapping[str, Member] | None) -> None:
    """Refuse sums over more images than the clinic told in the agreement.

    Raises:
        FederationError: they are.
    """
    told = images if members is None else members[clinic].images
    if images > told:
        raise FederationError(f"it counts {images} images, more than the {told} that it told")


def capped_weights(weights: Mapping[str, int], largest_share: float) -> dict[str, int]:
    """The weights, the largest ones lowered until no share is above the cap.

    Args:
        weights: whole and positive, by clinic.
        largest_share: the largest share c, in (0, 1].

    Returns:
        With the k largest capped and the others' sum R, each of these k weighs c R / (1 - k c), rounded down.
        Weights of 7, 23 and 60 become 7, 23 and 30 for c = 1/2. Unchanged where no share is above c.
    """
    if not weights:
        return {}
    largest = max(Fraction(largest_share).limit_denominator(1_000_000), Fraction(1, len(weights)))
    ordered = sorted(weights.values(), reverse=True)
    rest = sum(ordered)
    for capped, next_largest in enumerate(ordered):
        left = 1 - capped * largest
        if left <= 0 or next_largest * left <= largest * rest:
            break
        rest -= next_largest
    if not capped:
        return dict(weights)
    most = int(largest * rest / left) if left > 0 else min(ordered)
    return {name: min(weight, max(1, most)) for name, weight in weights.items()}


def shares(weights: Mapping[str, int]) -> dict[str, float]:
    """Each clinic's share of the sum of weights."""
    total = sum(weights.values())
    return {name: weight / total for name, weight in weights.items()}


def scaled_to_cap(sums: Mapping[str, S], weights: Mapping[str, int], largest_share: float) -> dict[str, S]:
    """Sums that are linear in the weights of what is summed up, those of the largest scaled down to the cap.

    It is as if each of the clinic's images weighed less.

    Args:
        sums: by clinic.
        weights: of each, whole and positive.
        largest_share: see :func:`capped_weights`.
    """
    capped = capped_weights(weights, largest_share)
    return {
        name: own if capped[name] == weights[name] else own.times(capped[name] / weights[name])
        for name, own in sums.items()
    }
