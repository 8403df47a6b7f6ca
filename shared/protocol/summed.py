"""The sums of a plan with secure sums: which there are, what is in them, and on which terms.

=============  ======================================================================================
sum            parts of a clinic's vector
=============  ======================================================================================
``counts``     ``training``: training images of each class (C,); once, before the first round
``train``      ``change``: of each weight (P,), or of those that are selected and not coded, times the
               training images; ``weight``: their number; ``loss``: the mean training loss, times their
               number; ``codes``: of the coded weights (N,), see :mod:`dermafed.shared.compression`; with
               groups, a sum of each group, in which every clinic has the weight 1, and no codes
``evaluate``   ``images``, ``loss_sum``, ``confusion`` (C * C,) and ``histograms`` (C * 2 * BINS,), of the
               validation images; :class:`dermafed.shared.metrics.evaluation.ClinicEvaluation`
=============  ======================================================================================

Where noise is added within the sums (``privacy.dp.place = "sum"``), all are of patients, with a part of the
noise of each clinic, in whole steps of a grid that add up exactly:

=============  ======================================================================================
``counts``     ``training``: patients of each class (C,)
``train``      ``gradient``: the last layer's, of a sample of the patients, each clipped ((K + 1) * C,)
``evaluate``   ``confusion`` (C * C,)
=============  ======================================================================================
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dermafed.shared.compression.coded_change import coder_of
from dermafed.shared.compression.selection import put
from dermafed.shared.errors import FederationError
from dermafed.shared.metrics.evaluation import BINS, PROBABILITY_FLOOR
from dermafed.shared.protocol.messages import Instruction
from dermafed.shared.protocol.offer import Offer
from dermafed.shared.protocol.privacy_settings import PrivacySettings
from dermafed.shared.protocol.roster_of_plan import roster_of
from dermafed.shared.secure_sum.fixed_point import Layout, Part
from dermafed.shared.secure_sum.roster import Roster
from dermafed.shared.secure_sum.terms import Terms
from dermafed.shared.secure_sum.thresholds import least_survivors

Label = Literal["counts", "train", "evaluate"]

NO_MODEL = "none"
"""In place of a model's hash, in a sum that is of no model."""

MOST_IMAGES = 1_000_000
"""Of one clinic; so many of each of 2,048 clinics can be summed without error."""

LARGEST_LOSS = 1000.0
"""Of a training, on average: far above any cross-entropy of a model that can still be trained."""

COUNT_GRID = 2**10
"""Steps of the grid in one patient of counts with noise: two million of one class can be summed."""

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
            With noise within the sums, patients.
        groups: over how many groups of clinics the updates are summed; 1: over all together.
        bits: of coded changes; 0: there are none.
    """

    plan: str
    roster: Roster
    privacy: PrivacySettings
    classes: int
    images: int = 1
    groups: int = 1
    bits: int = 0

    @classmethod
    def of(cls, offer: Offer, class_counts: Sequence[int] | None = None) -> Summing:
        """Of an offer, once the training images of each class over all clinics are known, or before.

        Raises:
            InputError: a key of the roster is none.
        """
        images, bits = max(1, sum(class_counts or ())), offer.compression.bits or 0
        roster, classes = roster_of(offer.roster), len(offer.model.classes)
        return cls(offer.hash, roster, offer.privacy, classes, images, offer.groups, bits)

    @property
    def selects(self) -> bool:
        """Whether weights that training does not move stay out: not of groups' sums, nor where noise is."""
        return self.groups == 1 and not self.has_noise

    def weight(self, images: int) -> int:
        """What a clinic with so many training images counts in a sum of updates.

        A robust rule bears what a clinic sends, but not what it says of itself; and of many groups' sums the
        numbers of each clinic's images could be told.
        """
        return images if self.groups == 1 else 1

    def terms(self, label: Label, parameters: int, coded: int = 0) -> Terms:
        """The terms of a sum.

        Args:
            label: which.
            parameters: how many weights are summed in full, or length of the last layer where that alone is
                trained; it matters for the updates only.
            coded: how many are summed in few bits.

        Raises:
            FederationError: there are some, and the plan has none.
        """
        if coded and not self.bits:
            raise FederationError("The plan has no changes in few bits", where="compression")
        parts = self._noisy(label, parameters) if self.has_noise else self._exact(label, parameters, coded)
        groups = self.groups if label == "train" else 1
        return Terms(self.plan, self.roster, self.privacy.colluders, Layout(parts, len(self.roster)), groups)

    @property
    def has_noise(self) -> bool:
        """Whether each clinic adds a part of the noise of differential privacy."""
        return self.privacy.dp is not None

    @property
    def sharers(self) -> int:
        """How many clinics' parts of the noise are in every sum for certain, and known to no colluder."""
        colluders = self.privacy.colluders
        return least_survivors(len(self.roster), colluders) - colluders

    @property
    def gradient_grid(self) -> int:
        """Steps of the grid in the bound of a patient's gradient: 2^18, fewer from 4,096 patients on.

        The sum of all patients' gradients, even if all had one direction, is within 2^30 steps; as much is
        left for noise.
        """
        return int(2 ** (30 - min(max(self.images.bit_length(), 12), 20)))

    def _noisy(self, label: Label, parameters: int) -> tuple[Part, ...]:
        assert self.privacy.dp is not None
        if label == "train":
            return (Part.of_units("gradient", parameters, self.privacy.dp.clip / self.gradient_grid),)
        name, size = ("training", self.classes) if label == "counts" else ("confusion", self.classes**2)
        return (Part.of_units(name, size, 1 / COUNT_GRID),)

    def _exact(self, label: Label, parameters: int, coded: int) -> tuple[Part, ...]:
        parts = {"counts": self._counts, "evaluate": self._evaluation}
        return self._update(parameters, coded) if label == "train" else parts[label]()

    def _counts(self) -> tuple[Part, ...]:
        return (Part("training", self.classes, MOST_IMAGES, whole=True),)

    def _update(self, parameters: int, coded: int) -> tuple[Part, ...]:
        weight = self.weight(self.images)
        parts = (
            Part("change", parameters, self.privacy.largest_change * weight),
            Part("weight", 1, self.weight(MOST_IMAGES), whole=True),
            Part("loss", 1, LARGEST_LOSS * weight),
        )
        if not coded:
            return parts
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


def whole_change(asked: Instruction, values: Mapping[str, ArrayLike]) -> NDArray[np.float64]:
    """The changes of all weights, float64 (P,): of a clinic's values in a sum of updates, or of their sum."""
    change = np.asarray(values["change"], np.float64)
    if (selection := asked.selection) is None:
        return change
    found = np.zeros(asked.weights.size)
    put(found, selection.full, change)
    if selection.coded_size:
        codes = coder_of(selection, asked.model).decode(np.asarray(values["codes"]), selection.step)
        put(found, selection.coded, codes)
    return found


def summed_sizes(asked: Instruction, label: Label) -> tuple[int, int]:
    """How many weights are summed in full, and how many in few bits; of other sums the model's length."""
    if asked.selection is None or label != "train":
        return asked.weights.size, 0
    return asked.selection.full_size, asked.selection.coded_size
