"""The training of an exact-head round: the clinics' sums are checked, compared and added, and solved."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import reduce
from operator import add

import numpy as np
from flwr.app import RecordDict

from dermafed.server.rounds.clinic_round import ClinicRound
from dermafed.server.rounds.round_rules import RoundRules
from dermafed.server.rounds.shares import Member, check_told, scaled_to_cap
from dermafed.server.rounds.trained_models import Trained
from dermafed.shared.errors import FederationError
from dermafed.shared.protocol.head_messages import decode_head_sums
from dermafed.shared.training.exact_head.head_sums import Floats, HeadSums
from dermafed.shared.training.exact_head.ridge import LinearHead, ridge_head
from dermafed.shared.training.trainer import FloatVector

_STEPS = 2**32  # of a weight of 1, for shares are computed of whole numbers


Fit = Callable[[Mapping[str, HeadSums], Mapping[str, HeadSums]], tuple[LinearHead, Collection[str]]]
"""The clinics' sums, and the same with capped weights, to a head and the names of its clinics."""


@dataclass
class HeadRound:
    """The sums of one round; a :class:`dermafed.server.rounds.collector.Collector`.

    Attributes:
        start: the model whose last layer is replaced, float32 (P,).
        classes: C of the model.
        fit: the head of the sums.
        rules: the cap of a share, and how much larger than usual a clinic's features may be.
        members: the clinics by the agreement, of which none may count more images than it told; ``None``:
            there was none.
    """

    start: FloatVector
    classes: int
    fit: Fit
    rules: RoundRules
    members: Mapping[str, Member] | None
    _sums: dict[str, HeadSums] = field(default_factory=dict)

    def accept(self, clinic: str, content: RecordDict) -> float:
        """Accept a clinic's sums."""
        sums, seconds = decode_head_sums(content, self.classes, self.start.size)
        if self.members is not None and clinic not in self.members:
            raise FederationError("it has not joined the run")
        check_told(clinic, sums.images, self.members)
        self._sums[clinic] = sums
        return seconds

    def compare(self) -> dict[str, str]:
        """Leave out who summed up other or far larger features, or weighs classes otherwise, than most."""
        left_out: dict[str, str] = {}
        if self._sums:
            usual = Counter(sums.features for sums in self._sums.values()).most_common(1)[0][0]
            weights = _median([sums.class_weights for sums in self._sums.values()])
            square = sorted(_mean_square(sums) for sums in self._sums.values())[(len(self._sums) - 1) // 2]
            largest = math.inf if self.rules.largest_step is None else square * self.rules.largest_step**2
            for clinic, sums in self._sums.items():
                if sums.features != usual:
                    left_out[clinic] = "it summed up other features than most clinics"
                elif not _agree(sums.class_weights, weights):
                    left_out[clinic] = "its images weigh otherwise than those of most clinics"
                elif _mean_square(sums) > largest:
                    left_out[clinic] = "its features are far larger than those of most clinics"
        for clinic in left_out:
            del self._sums[clinic]
        return left_out

    def result(self) -> Trained:
        """The model with the head of all sums."""
        capped = capped_sums(self._sums, self.rules.largest_share)
        head, used = self.fit(self._sums, capped)
        weights = {name: float(capped[name].gram[-1, -1]) for name in used}
        whole = math.fsum(weights.values())
        clinics = {name: ClinicRound(name, share=weight / whole) for name, weight in weights.items()}
        return Trained(head.into(self.start), math.nan, clinics)


def ridge_fit(ridge: float) -> Fit:
    """The ridge head of the capped sums."""

    def fit(
        sums: Mapping[str, HeadSums], capped: Mapping[str, HeadSums]
    ) -> tuple[LinearHead, Collection[str]]:
        return ridge_head(total_of(capped, capped), ridge), list(capped)

    return fit


def total_of(sums: Mapping[str, HeadSums], names: Collection[str]) -> HeadSums:
    """The sums of these clinics, added in the order of their names."""
    return reduce(add, (sums[name] for name in sorted(names)))


def capped_sums(sums: Mapping[str, HeadSums], largest_share: float) -> dict[str, HeadSums]:
    """The sums, those of the largest weights scaled down until no share of the weight is above the cap.

    A and B are linear in the weights of the images, so it is as if each of the clinic's images weighed less.

    Args:
        sums: by clinic.
        largest_share: see :func:`dermafed.server.rounds.shares.capped_weights`.
    """
    weights = {name: max(1, round(own.gram[-1, -1] * _STEPS)) for name, own in sums.items()}
    return scaled_to_cap(sums, weights, largest_share)


def _mean_square(sums: HeadSums) -> float:
    """The mean square of an image's features, summed over the features."""
    return float(np.trace(sums.gram[:-1, :-1]) / sums.gram[-1, -1])


def _median(weights: list[Floats]) -> Floats:
    known = [column[np.isfinite(column)] for column in np.array(weights).T]
    return np.array([np.median(column) if column.size else np.nan for column in known])


def _agree(own: Floats, usual: Floats) -> bool:
    known = np.isfinite(own)
    return bool(np.allclose(own[known], usual[known], rtol=1e-6))
