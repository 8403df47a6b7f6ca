"""A clinic's alert for melanoma, fitted to its validation lesions with the model's calibration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from dermafed.shared.errors import DatasetError
from dermafed.shared.metrics.calibration.calibration import Calibration
from dermafed.shared.metrics.decision.alert_rule import AlertRule, fit_alert_rule
from dermafed.shared.metrics.decision.decision_settings import DecisionSettings
from dermafed.shared.metrics.decision.lesion_scores import MELANOMA, lesion_scores

if TYPE_CHECKING:  # without it, fitting an alert would load Keras
    from dermafed.shared.metrics.calibration.network_outputs import NetworkOutputs


def fit_clinic_alert(
    calibration: Calibration, validation: NetworkOutputs, lesions: Sequence[str], settings: DecisionSettings
) -> AlertRule | None:
    """The rule of a clinic's alert.

    Args:
        calibration: of the model, with the clinic's own scale and offsets.
        validation: the model's outputs for the clinic's validation images, N.
        lesions: the lesion of each image (N).
        settings: what the clinic wants of its alert.

    Returns:
        The rule; ``None`` where the validation images have no melanoma, or nothing else.
    """
    if MELANOMA not in calibration.classes:
        return None
    melanoma = calibration.classes.index(MELANOMA)
    probabilities = np.stack([calibration.probabilities(logits) for logits in validation.logits])
    try:
        return fit_alert_rule(lesion_scores(validation.labels, probabilities, melanoma, lesions), settings)
    except DatasetError:
        return None
