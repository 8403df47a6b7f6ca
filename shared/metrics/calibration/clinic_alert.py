"""A clinic's alert for melanoma, fitted to its validation lesions with the model's calibration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dermafed.shared.errors import DatasetError
from dermafed.shared.metrics.calibration.calibration import Calibration
from dermafed.shared.metrics.decision.alert_rule import AlertRule, fit_alert_rule
from dermafed.shared.metrics.decision.decision_settings import DecisionSettings
from dermafed.shared.metrics.decision.federation_rule import fit_federation_rule, needs_federation
from dermafed.shared.metrics.decision.lesion_scores import MELANOMA, LesionScores, lesion_scores

if TYPE_CHECKING:  # without it, fitting an alert would load Keras
    from dermafed.shared.metrics.calibration.network_outputs import NetworkOutputs

Floats = NDArray[np.float64]


def fit_clinic_alert(
    calibration: Calibration, validation: NetworkOutputs, lesions: Sequence[str], settings: DecisionSettings
) -> AlertRule | None:
    """The rule of a clinic's alert; where its melanomas are few and the calibration has the scores of all
    clinics, that of :mod:`~dermafed.shared.metrics.decision.federation_rule`.

    Args:
        calibration: of the model, with the clinic's own scale and offsets.
        validation: the model's outputs for the clinic's validation images, N.
        lesions: the lesion of each image (N).
        settings: what the clinic wants of its alert.

    Returns:
        The rule; ``None`` where the clinic would choose by its own lesions, and has no melanoma or nothing
        else among them.
    """
    if MELANOMA not in calibration.classes:
        return None

    def scored(probabilities: Sequence[Floats]) -> LesionScores:
        melanoma = calibration.classes.index(MELANOMA)
        return lesion_scores(validation.labels, np.stack(probabilities), melanoma, lesions)

    own = scored([calibration.probabilities(logits) for logits in validation.logits])
    if calibration.scores is not None and needs_federation(own, calibration.scores):
        found = [calibration.probabilities_without_prior(logits) for logits in validation.logits]
        without = [each for each in found if each is not None]
        return fit_federation_rule(own, scored(without), calibration.scores, settings)
    try:
        return fit_alert_rule(own, settings)
    except DatasetError:
        return None
