"""The log loss and its derivatives by scale and offsets, as sums over validation images.

Those of several clinics add, and are those of all their images together: so the server finds the scale and
the offsets that pooling would give, and sees no score. For C classes a clinic sends C counts, the loss,
1 + C slopes and (1 + C)(2 + C) / 2 curvatures: 18 numbers for three classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dermafed.shared.errors import DatasetError, FederationError
from dermafed.shared.metrics.calibration.calibration_sums import FEWEST_IMAGES, LARGEST_LOSS, MOST_IMAGES
from dermafed.shared.metrics.calibration.class_offsets import ClassOffsets, Floats, check_finite_logits
from dermafed.shared.metrics.evaluation import of_common_classes

LARGEST_LOGIT = 1e4
"""Larger than any logit of a model that can be used."""

_REMEDY = "Install the same version of DermaFed at every clinic"


@dataclass(frozen=True, slots=True, eq=False)
class OffsetSums:
    """Sums over validation images at one scale and offsets; those of several clinics add.

    With p = softmax(a z + b), y one-hot and m = sum_c p_c z_c, an image adds -log p_y to the loss;
    (p - y) . z and p - y to the slopes by a and b; to the curvatures sum_c p_c z_c^2 - m^2 by a, a,
    p_c (z_c - m) by a, b_c and diag(p) - p p^T by b, b.

    Attributes:
        point: the scale and offsets that they were summed up at.
        counts: images of each class, int64 (C,).
        loss: summed negative log-likelihood, in nats.
        gradient: its slopes, float64 (1 + C,), that by the scale first.
        hessian: its curvatures, float64 (1 + C, 1 + C), symmetric.
    """

    point: ClassOffsets
    counts: NDArray[np.int64]
    loss: float
    gradient: Floats
    hessian: Floats

    @classmethod
    def of(
        cls,
        logits: NDArray[np.floating],
        labels: NDArray[np.int64],
        point: ClassOffsets,
        *,
        shows_rare: bool = True,
    ) -> OffsetSums:
        """Sum up a model's outputs for validation images; no image gives zeros.

        Args:
            logits: (N, C).
            labels: indices of the true classes, (N,).
            point: where to sum up.
            shows_rare: whether the images of all classes are summed up, or only those of
                :func:`~dermafed.shared.metrics.evaluation.of_common_classes`, as befits what leaves a clinic.

        Raises:
            DatasetError: with ``shows_rare=False``, fewer than FEWEST_IMAGES images remain.
            ModelError: a logit is NaN or infinite.
        """
        check_finite_logits(logits)
        if not shows_rare:
            logits, labels = _common(logits, labels)
        exact, every = logits.astype(np.float64), np.arange(len(labels))
        # Only differences of logits matter; small numbers keep the curvatures exact.
        exact = exact - exact.mean(axis=1, keepdims=True)
        p = point.probabilities(exact)
        spread = exact - (p * exact).sum(axis=1, keepdims=True)
        wrong = p.copy()
        wrong[every, labels] -= 1
        scaled = point.scale * exact + np.array(point.offsets)
        loss = float((np.logaddexp.reduce(scaled, axis=1) - scaled[every, labels]).sum())
        gradient = np.concatenate([[(wrong * exact).sum()], wrong.sum(axis=0)])
        return cls(point, _counts(labels, logits.shape[1]), loss, gradient, _hessian(p, exact, spread))

    def __add__(self, other: OffsetSums) -> OffsetSums:
        if self.point != other.point:
            raise FederationError("Two clinics summed up at different offsets", remedy=_REMEDY)
        return OffsetSums(
            self.point,
            self.counts + other.counts,
            self.loss + other.loss,
            self.gradient + other.gradient,
            self.hessian + other.hessian,
        )

    @property
    def images(self) -> int:
        """Number of images."""
        return int(self.counts.sum())

    def validate(self, classes: int) -> None:
        """Refuse sums that no set of images could give.

        Args:
            classes: C of the model.

        Raises:
            FederationError: with the first thing that does not fit.
        """
        self.point.validate(classes)
        size, images = 1 + classes, self.images
        if self.counts.shape != (classes,) or self.counts.dtype != np.int64 or self.counts.min() < 0:
            raise _refusal("its counts are not those of the classes")
        if not FEWEST_IMAGES <= images <= MOST_IMAGES:
            raise _refusal(f"they are of {images} images")
        if not 0 <= self.loss <= images * LARGEST_LOSS:  # not of NaN either
            raise _refusal("no images have this loss")
        if self.gradient.shape != (size,) or self.hessian.shape != (size, size):
            raise _refusal("its slopes have another shape")
        if not (_possible_slopes(self.gradient, images) and _possible_curvatures(self.hessian, images)):
            raise _refusal("no images have these slopes")


def _common(
    logits: NDArray[np.floating], labels: NDArray[np.int64]
) -> tuple[NDArray[np.floating], NDArray[np.int64]]:
    common = of_common_classes(labels)
    if common.sum() < FEWEST_IMAGES:
        raise DatasetError(
            f"{common.sum()} validation images are too few to fit offsets",
            remedy=f"Give at least {FEWEST_IMAGES} of one class",
        )
    return logits[common], labels[common]


def _counts(labels: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    return np.bincount(labels, minlength=classes).astype(np.int64)


def _hessian(p: Floats, exact: Floats, spread: Floats) -> Floats:
    by_offsets = np.diag(p.sum(axis=0)) - p.T @ p
    mixed = (p * spread).sum(axis=0)
    return np.block([[np.array([[(p * spread * exact).sum()]]), mixed[None]], [mixed[:, None], by_offsets]])


def _possible_slopes(gradient: Floats, images: int) -> bool:
    slack = 1e-6 * images
    by_scale, by_offsets = abs(gradient[0]), gradient[1:]
    bounded = by_scale <= 2 * LARGEST_LOGIT * images and np.abs(by_offsets).max() <= images + slack
    return bool(bounded and abs(by_offsets.sum()) <= slack)


def _possible_curvatures(hessian: Floats, images: int) -> bool:
    """Whether these are finite, symmetric, of a convex loss, and no larger than that of so many images."""
    largest = np.full(len(hessian), images / 4 + 1e-6 * images)
    largest[0] = images * LARGEST_LOGIT**2
    diagonal = np.diag(hessian)
    if not (np.isfinite(hessian).all() and (diagonal <= largest).all()):
        return False
    least = np.linalg.eigvalsh(hessian)[0] if np.array_equal(hessian, hessian.T) else -np.inf
    return bool(least >= -1e-6 * (images + np.abs(diagonal).max()))


def _refusal(why: str) -> FederationError:
    return FederationError(f"A clinic's sums are refused: {why}", remedy=_REMEDY)
