"""The sums of a plan with secure sums: which there are, what is in them, and on which terms.

=============  ======================================================================================
sum            parts of a clinic's vector
=============  ======================================================================================
``counts``     ``training``: training images of each class (C,); once, before the first round
``train``      ``change``: of each weight (P,), or of those that are selected and not coded, times the
               training images; ``weight``: their number; ``loss``: the mean training loss, times their
               number; ``codes``: of the coded weights (N,), see :mod:`dermafed.shared.compression`
``evaluate``   ``images``, ``loss_sum``, ``confusion`` (C * C,) and ``histograms`` (C * 2 * BINS,), of the
               validation images; :class:`dermafed.shared.metrics.evaluation.ClinicEvaluation`
=============  ======================================================================================
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from dermafed.shared.errors import FederationError
from dermafed.shared.metrics.evaluation import BINS, PROBABILITY_FLOOR
from dermafed.shared.protocol.messages import Instruction
from dermafed.shared.protocol.offer import Offer
from dermafed.shared.protocol.privacy_settings import PrivacySettings
from dermafed.shared.protocol.roster_of_plan import roster_of
from dermafed.shared.secure_sum.fixed_point import Layout, Part
from dermafed.shared.secure_sum.roster import Roster
from dermafed.shared.secure_sum.terms import Terms

Label = Literal["counts", "train", "evaluate"]

NO_MODEL = "none"
"""In place of a model's hash, in a sum that is of no model."""

MOST_IMAGES = 1_000_000
"""Of one clinic; so many of each of 2,048 clinics can be summed without error."""

LARGEST_LOSS = 1000.0
"""Of a training, on average: far above any cross-entropy of a model that can still be trained."""

_LARGEST_CROSS_ENTROPY = -math.log(PROBABILITY_FLOOR) * (1 + 1e-6)


@dataclass(frozen=True)
class Summing:
    """What the clinics of a plan and the server have in common in its sums.

    Attributes:
        plan: SHA-256 of the plan, hexadecimal.
        roster: the clinics and their keys.
        privacy: the plan's section, with secure aggregation.
        classes: number of classes C.
        images: training images over all clinics, by which the sums are scaled; 1 before they are counted.
        bits: of coded changes; 0: there are none.
    """

    plan: str
    roster: Roster
    privacy: PrivacySettings
    classes: int
    images: int = 1
    bits: int = 0

    @classmethod
    def of(cls, offer: Offer, class_counts: Sequence[int] | None = None) -> Summing:
        """Of an offer, once the training images of each class over all clinics are known, or before.

        Raises:
            InputError: a key of the roster is none.
        """
        images, bits = max(1, sum(class_counts or ())), offer.compression.bits or 0
        return cls(offer.hash, roster_of(offer.roster), offer.privacy, len(offer.model.classes), images, bits)

    def terms(self, label: Label, parameters: int, coded: int = 0) -> Terms:
        """The terms of a sum.

        Args:
            label: which.
            parameters: how many weights are summed in full; it matters for the updates only.
            coded: how many are summed in few bits.
        """
        parts = {"counts": self._counts, "evaluate": self._evaluation}
        found = self._update(parameters, coded) if label == "train" else parts[label]()
        return Terms(self.plan, self.roster, self.privacy.colluders, Layout(found, len(self.roster)))

    def _counts(self) -> tuple[Part, ...]:
        return (Part("training", self.classes, MOST_IMAGES, whole=True),)

    def _update(self, parameters: int, coded: int) -> tuple[Part, ...]:
        parts = (
            Part("change", parameters, self.privacy.largest_change * self.images),
            Part("weight", 1, MOST_IMAGES, whole=True),
            Part("loss", 1, LARGEST_LOSS * self.images),
        )
        if not coded:
            return parts
        if not self.bits:
            raise FederationError("The plan has no changes in few bits", where="compression")
        return (*parts, Part("codes", coded, 2 ** (self.bits - 1) - 1, whole=True, bits=self.bits))

    def _evaluation(self) -> tuple[Part, ...]:
        return (
            Part("images", 1, MOST_IMAGES, whole=True),
            Part("loss_sum", 1, _LARGEST_CROSS_ENTROPY * self.images),
            Part("confusion", self.classes**2, MOST_IMAGES, whole=True),
            Part("histograms", self.classes * 2 * BINS, MOST_IMAGES, whole=True),
        )


def digest_of(asked: Instruction) -> str:
    """SHA-256 of all that a clinic is asked for: the model and the settings of its training."""
    settings = json.dumps([asked.round, sorted(asked.config.items())])
    selected = "" if asked.selection is None else f" {asked.selection.digest}"
    return hashlib.sha256(f"{asked.model} {settings}{selected}".encode()).hexdigest()


def summed_sizes(asked: Instruction, label: Label) -> tuple[int, int]:
    """How many weights are summed in full, and how many in few bits; of other sums the model's length."""
    if asked.selection is None or label != "train":
        return asked.weights.size, 0
    return asked.selection.full_size, asked.selection.coded_size
