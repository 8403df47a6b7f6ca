"""The last layer where clinics lack classes: each class's column is the mean over the clinics that have it.

A clinic that has never seen a class has nothing to say of its column of the last layer: in the mean of all
models it would hold that column back by its share, or train it down.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dermafed.server.rounds.aggregate import StreamingMean
from dermafed.server.rounds.shares import capped_weights
from dermafed.server.rounds.strategies import Means
from dermafed.shared.errors import FederationError
from dermafed.shared.training.clinic_weight import absent_classes
from dermafed.shared.training.trainer import FloatVector


@dataclass(frozen=True, slots=True)
class HeldClasses:
    """Which classes each clinic has training images of, and where the last layer is in the flat vector.

    Attributes:
        features: inputs K of the last layer, whose kernel (K, C) and bias (C,) are the last weights.
        held: of each clinic, by name, and each class, whether its mean is over this clinic too (C,).
    """

    features: int
    held: Mapping[str, tuple[bool, ...]]

    @classmethod
    def of(cls, counts: Mapping[str, Sequence[int]], features: int) -> HeldClasses:
        """Those of a run; a class that no clinic has counts as held by all.

        Args:
            counts: each clinic's training images of each class, by name, as the agreement says them.
            features: inputs of the last layer, by the first weights.

        Raises:
            FederationError: it is not known where the last layer is.
        """
        if features < 1:
            raise FederationError(
                "The run's first weights do not say where the last layer is",
                remedy="Delete start.npz in the run's folder, then resume the run",
            )
        everywhere = [sum(column) for column in zip(*counts.values(), strict=True)]
        absent = {name: absent_classes(own, everywhere) for name, own in counts.items()}
        return cls(features, {name: tuple(not one for one in own) for name, own in absent.items()})

    def columns(self, weights: Mapping[str, int], largest_share: float) -> list[ColumnMean]:
        """The means still to take of a round: one for each class that one of its clinics lacks.

        Args:
            weights: of the clinics in the mean, before any cap.
            largest_share: the largest share of one clinic in a mean.
        """
        found = []
        classes = len(next(iter(self.held.values())))
        size = self.features + 1
        for place in range(classes):
            having = {name: weight for name, weight in weights.items() if self.held[name][place]}
            if len(having) < len(weights):
                values = slice(place - size * classes, None, classes)  # counted from the end of the vector
                found.append(ColumnMean(values, capped_weights(having, largest_share), size))
        return found


class ColumnMean:
    """The weighted mean of one class's kernel column and bias, over the clinics that have the class."""

    def __init__(self, place: slice, weights: Mapping[str, int], size: int) -> None:
        """Take where its values are in the flat vector, the weight of each clinic, and their number K + 1."""
        self._place, self._weights = place, weights
        self._mean = StreamingMean(size)

    def add(self, clinic: str, model: FloatVector) -> None:
        """Add a clinic's model, float32 (P,), if it has the class."""
        if clinic in self._weights:
            self._mean.add(model[self._place], self._weights[clinic])

    def write(self, mean: Means, start: FloatVector) -> None:
        """Write it into the mean of all models, (P,); without a model, the start's column stays."""
        mean[self._place] = self._mean.result() if self._mean.weight else start[self._place]
