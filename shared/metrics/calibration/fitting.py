"""A model's trust from one clinic's images alone."""

from __future__ import annotations

from collections.abc import Sequence

from dermafed.shared.errors import DatasetError
from dermafed.shared.metrics.calibration.calibration import Trust
from dermafed.shared.metrics.calibration.calibration_sums import TrustSums
from dermafed.shared.metrics.calibration.network_outputs import Looks
from dermafed.shared.metrics.calibration.out_of_distribution import Outside


def fit_trust(model: str, classes: Sequence[str], training: Looks, validation: Looks) -> Trust:
    """Fit all that is known of a model's numbers.

    Args:
        model: SHA-256 of its weights.
        classes: their names.
        training: what it makes of images like those it was trained on; their labels do not count.
        validation: what it makes of images that it has not learnt from.

    Raises:
        DatasetError: there are too few validation images to calibrate.
    """
    first = TrustSums.of(validation.logits, validation.labels)
    sums = TrustSums.of(validation.logits, validation.labels, first.best_temperature)
    return Trust(model, tuple(classes), sums, rule=fit_outside(training, validation))


def fit_outside(training: Looks, validation: Looks) -> Outside | None:
    """What lies outside a clinic's images; ``None`` where they are too few."""
    try:
        return Outside.fit(training.features, validation.features)
    except DatasetError:
        return None
