"""A clinic's own scale and offsets, drawn to those that the federation's and its diagnoses let expect.

Cameras and patients differ from clinic to clinic, so one decision for all fits few of them. A clinic's
images alone may be too few to fit it by. So the fit is drawn to a centre, by the penalty of
:mod:`~dermafed.shared.metrics.calibration.offset_fit`: with many images the clinic's own count, with few the
centre, without any it is the centre.

The centre is the federation's scale and offsets, moved by how much more or less frequent each class is at
the clinic: b_c + log(own share / share in the federation), what Bayes' rule makes of other frequencies and
the same images (Saerens, Latinne and Decaestecker 2002, eq. 2.4). A clinic with few images has its shares
from the federation too, as if it had EXPECTED_IMAGES more with the federation's shares.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dermafed.shared.metrics.calibration.class_offsets import ClassOffsets, Floats, check_finite_logits
from dermafed.shared.metrics.calibration.offset_fit import FittedOffsets, fit_offsets
from dermafed.shared.metrics.calibration.offset_sums import OffsetSums
from dermafed.shared.metrics.calibration.reliability import ConfidenceBins
from dermafed.shared.metrics.evaluation import FEWEST_OF_A_CLASS

EXPECTED_IMAGES = 20.0
"""Images with the federation's shares that are added to a clinic's own counts: so no share is 0."""


@dataclass(frozen=True, slots=True, eq=False)
class ClinicOffsets:
    """A clinic's own scale and offsets.

    Attributes:
        point: the scale and offsets.
        shares: of the classes at the clinic, (C,), all above 0; they sum to 1.
        bins: counts of the clinic's validation images by the confidence that the offsets give.
    """

    point: ClassOffsets
    shares: tuple[float, ...]
    bins: ConfidenceBins

    @property
    def few(self) -> tuple[bool, ...]:
        """Of each class, whether too few validation images tell how the clinic's own differ."""
        return tuple((self.bins.images.sum(axis=1) < FEWEST_OF_A_CLASS).tolist())

    @property
    def without_prior(self) -> ClassOffsets:
        """Those that answer as if all classes were equally frequent.

        For a clinic whose own melanomas are few: their rarity in its data then holds no score down.
        """
        return self.point.without_prior(np.array(self.shares))


def smoothed_shares(counts: NDArray[np.int64], expected: Floats) -> Floats:
    """Shares of classes, as if EXPECTED_IMAGES images with the expected shares were there too.

    Args:
        counts: images of each class, (C,); all may be 0.
        expected: shares, (C,), all above 0.

    Returns:
        Float64 (C,), all above 0; they sum to 1.
    """
    return np.asarray((counts + EXPECTED_IMAGES * expected) / (counts.sum() + EXPECTED_IMAGES))


def federation_shares(fitted: FittedOffsets) -> Floats:
    """The shares of the classes in the federation, (C,), with one image more of each: none is 0."""
    counts = np.array(fitted.counts) + 1.0
    return np.asarray(counts / counts.sum())


def expected_offsets(federation: FittedOffsets, shares: Floats) -> ClassOffsets:
    """The centre of a clinic's fit.

    Args:
        federation: the federation's fit.
        shares: of the classes at the clinic, (C,), all above 0.
    """
    change = np.log(shares / federation_shares(federation))
    return ClassOffsets.of_vector(federation.point.vector + np.concatenate([[0.0], change]))


def fit_clinic_offsets(
    federation: FittedOffsets,
    logits: NDArray[np.floating],
    labels: NDArray[np.int64],
    counts: NDArray[np.int64],
) -> ClinicOffsets:
    """Fit a clinic's own scale and offsets; for use at the clinic only, since rare classes take part.

    A class without a validation image there keeps the centre's offset.

    Args:
        federation: the federation's fit.
        logits: of the clinic's validation images, (N, C); N may be 0 or 1.
        labels: their classes, (N,).
        counts: the clinic's images of each class, those for training included, (C,).

    Raises:
        ModelError: a logit is NaN or infinite.
    """
    check_finite_logits(logits)
    shares = smoothed_shares(counts, federation_shares(federation))
    centre = expected_offsets(federation, shares)
    fitted = fit_offsets(lambda point: {"own": OffsetSums.of(logits, labels, point)}, centre)
    point = centre if fitted is None else fitted.point
    bins = ConfidenceBins.count(labels, point.probabilities(logits))
    return ClinicOffsets(point, tuple(shares.tolist()), bins)
