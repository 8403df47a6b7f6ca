"""The space in which cases are compared: half by what they look like, half by what tells diagnoses apart.

The features before the model's last layer, standardised over the clinic's cases and brought to length 1, and
beside them their discriminant coordinates (:mod:`dermafed.shared.training.exact_head.discriminants`), of mean
square length 1. The distance is Euclidean. The first half finds images that look alike to the network; the
second, learnt in closed form from the clinic's own labels, moves those of one diagnosis together. Measured:
``docs/similar.md``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dermafed.shared.training.exact_head.discriminants import discriminants
from dermafed.shared.training.exact_head.head_sums import Floats, HeadSums
from dermafed.shared.training.exact_head.ridge import standardised

RIDGE = 1.0
"""As much as a feature's own variance within classes. Chosen on validation images; 0.3 did as well."""


@dataclass(frozen=True, slots=True, eq=False)
class CaseSpace:
    """A map of features (K,) to points (K + D,).

    Attributes:
        mean: of the cases, float64 (K,).
        scale: one over their standard deviation, float64 (K,); 0 where it is 0.
        directions: discriminant directions, float64 (K, D).
    """

    mean: Floats
    scale: Floats
    directions: Floats

    @classmethod
    def fit(cls, sums: HeadSums) -> CaseSpace:
        """The space of cases by their sums; those of several clinics may be added up.

        Raises:
            FederationError: there is no case.
        """
        moments, found = standardised(sums), discriminants(sums, RIDGE)
        total = moments.total
        covariance = sums.gram[:-1, :-1] / total - np.outer(moments.mean, moments.mean)
        square = float(np.einsum("kd,kl,ld->", found, covariance, found, optimize=True))
        return cls(moments.mean, moments.scale, found / np.sqrt(square) if square > 0 else found)

    def points(self, features: NDArray[np.floating]) -> NDArray[np.float32]:
        """Points float32 (N, K + D) of features (N, K)."""
        centred = features.astype(np.float64) - self.mean
        looks = centred * self.scale
        lengths = np.linalg.norm(looks, axis=1, keepdims=True)
        looks = np.divide(looks, lengths, out=np.zeros_like(looks), where=lengths > 0)
        return np.concatenate([looks, centred @ self.directions], axis=1).astype(np.float32)
