"""Calibration of a model as sums over a clinic's validation images, which add up over clinics.

They are computed twice: first at temperature 1, which gives the temperature, then at that temperature, and
with the offsets of the classes where these were fitted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax, softmax

from dermafed.shared.errors import DatasetError, FederationError
from dermafed.shared.metrics.calibration.class_offsets import ClassOffsets, check_finite_logits
from dermafed.shared.metrics.calibration.reliability import ConfidenceBins
from dermafed.shared.metrics.calibration.temperature import (
    TEMPERATURES,
    Floats,
    best_temperature,
    loss_at,
    losses,
)
from dermafed.shared.metrics.evaluation import of_common_classes

FEWEST_IMAGES = 5
"""Sums over fewer images come close to revealing a single score: they are refused."""

MOST_IMAGES = 10**9

LARGEST_LOSS = 1e6
"""Larger than any image's loss at any of the temperatures, and so small that no sum overflows."""

_REMEDY = "Install the same version of DermaFed at every clinic"


@dataclass(frozen=True, slots=True, eq=False)
class CalibrationSums:
    """Sums over validation images; those of several clinics add, and are those of all their images together.

    Attributes:
        temperature: temperature at which ``after`` was counted.
        losses: summed negative log-likelihood at each of the TEMPERATURES, float64 (G,).
        before: counts by confidence of the model's own probabilities.
        after: counts by confidence of those at the temperature, with the offsets.
        offsets: of the classes, (C,), in nats; empty: none. The ``losses`` are without them.
        offsets_loss: summed negative log-likelihood at the temperature with them; ``None`` without.
    """

    temperature: float
    losses: Floats
    before: ConfidenceBins
    after: ConfidenceBins
    offsets: tuple[float, ...] = ()
    offsets_loss: float | None = None

    @classmethod
    def of(
        cls,
        logits: NDArray[np.floating],
        labels: NDArray[np.int64],
        temperature: float = 1.0,
        *,
        offsets: tuple[float, ...] = (),
        shows_rare: bool = True,
    ) -> CalibrationSums:
        """Sum up a model's outputs for validation images.

        Args:
            logits: (N, C).
            labels: indices of the true classes, (N,).
            temperature: temperature at which ``after`` is counted.
            offsets: of the classes, with which it is counted, (C,); empty: none.
            shows_rare: whether the images of all classes are summed up, or only those of
                :func:`~dermafed.shared.metrics.evaluation.of_common_classes`.

        Raises:
            DatasetError: there are fewer than FEWEST_IMAGES images to sum up.
            ModelError: a logit is NaN or infinite.
        """
        check_finite_logits(logits)
        if not shows_rare:
            common = of_common_classes(labels)
            logits, labels = logits[common], labels[common]
        if len(labels) < FEWEST_IMAGES:
            raise DatasetError(
                f"{len(labels)} validation images are too few to calibrate a model",
                remedy=f"Give at least {FEWEST_IMAGES}; reliable results need some hundreds",
            )
        exact = logits.astype(np.float64)
        scaled = exact / temperature + (np.array(offsets) if offsets else 0.0)
        before, after = (ConfidenceBins.count(labels, softmax(each, axis=1)) for each in (exact, scaled))
        loss = -float(log_softmax(scaled, axis=1)[np.arange(len(labels)), labels].sum()) if offsets else None
        return cls(float(temperature), losses(logits, labels), before, after, offsets, loss)

    def __add__(self, other: CalibrationSums) -> CalibrationSums:
        mine, theirs = ((each.temperature, each.offsets) for each in (self, other))
        if mine != theirs or self.before.images.shape != other.before.images.shape:
            raise FederationError("Two clinics calibrated different models", remedy=_REMEDY)
        return CalibrationSums(
            self.temperature,
            self.losses + other.losses,
            self.before + other.before,
            self.after + other.after,
            self.offsets,
            None if self.offsets_loss is None else self.offsets_loss + (other.offsets_loss or 0.0),
        )

    @property
    def images(self) -> int:
        """Number of images."""
        return int(self.before.images.sum())

    @property
    def best_temperature(self) -> float:
        """The temperature to calibrate with."""
        return best_temperature(self.losses)

    @property
    def loss_before(self) -> float:
        """Mean negative log-likelihood at temperature 1, in nats."""
        return loss_at(self.losses, 1.0) / self.images

    @property
    def loss_after(self) -> float:
        """Mean negative log-likelihood at the temperature, with the offsets, in nats."""
        summed = loss_at(self.losses, self.temperature) if self.offsets_loss is None else self.offsets_loss
        return summed / self.images

    def validate(self, classes: int) -> None:
        """Refuse sums that no set of images could give.

        Args:
            classes: C of the model.

        Raises:
            FederationError: with the first thing that does not fit.
        """
        if not FEWEST_IMAGES <= self.images <= MOST_IMAGES:
            raise _refusal(f"they are of {self.images} images")
        if not (math.isfinite(self.temperature) and TEMPERATURES[0] <= self.temperature <= TEMPERATURES[-1]):
            raise _refusal("there is no such temperature")
        if not _possible(self.losses) or self.losses.max() > self.images * LARGEST_LOSS:
            raise _refusal("no images have these losses")
        try:
            for bins in (self.before, self.after):
                bins.validate(self.images, classes)
        except FederationError as error:
            raise _refusal(error.what) from error
        if (self.offsets_loss is None) != (not self.offsets):
            raise _refusal("offsets and their loss belong together")
        if self.offsets_loss is not None:
            ClassOffsets(1 / self.temperature, self.offsets).validate(classes)
            if not 0 <= self.offsets_loss <= self.images * LARGEST_LOSS:  # not of NaN either
                raise _refusal("no images have this loss")
        # A temperature changes how sure an answer is, not the answer; offsets change both.
        for name in ("images",) if self.offsets else ("images", "correct"):
            before, after = (getattr(bins, name).sum(axis=1) for bins in (self.before, self.after))
            if not np.array_equal(before, after):
                raise _refusal("they disagree")


def _refusal(why: str) -> FederationError:
    return FederationError(f"A clinic's sums are refused: {why}", remedy=_REMEDY)


def _possible(summed: Floats) -> bool:
    """Whether these are losses of some images: positive, finite, and convex in 1/T as each image's are."""
    if summed.shape != TEMPERATURES.shape or not (np.isfinite(summed).all() and (summed >= 0).all()):
        return False
    slopes = np.diff(summed) / np.diff(1 / TEMPERATURES)
    return bool((np.diff(slopes) <= 1e-6 * (1 + np.abs(slopes).max())).all())  # 1/T falls along the grid
