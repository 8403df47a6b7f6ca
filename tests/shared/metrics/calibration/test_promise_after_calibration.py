"""The proof takes a score fixed beforehand; here it is calibrated on the same images as the promise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dermafed.shared.metrics.calibration.class_offsets import ClassOffsets
from dermafed.shared.metrics.calibration.offset_fit import fit_offsets
from dermafed.shared.metrics.calibration.offset_sums import OffsetSums
from dermafed.shared.metrics.decision.lesion_scores import lesion_scores
from dermafed.shared.metrics.decision.promise import promise
from dermafed.shared.metrics.decision.score_counts import ScoreCounts

DRAWS = 200


def logits_of(labels: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.float32]:
    """Logits of a model that is too sure of itself and rarely says melanoma."""
    signal = rng.normal(0, 1.5, (labels.size, 3)) + 1.8 * np.eye(3)[labels]
    return (2 * signal + [-1.5, 1.0, 0.5]).astype(np.float32)


def test_the_promise_is_kept_where_scale_and_offsets_were_fitted_to_the_same_images() -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], [29, 200, 71])
    unseen = logits_of(np.zeros(10_000, np.int64), rng)
    missed = []
    for _ in range(DRAWS):
        logits = logits_of(labels, rng)

        def sums(point: ClassOffsets, logits: NDArray[np.float32] = logits) -> dict[str, OffsetSums]:
            return {"graz": OffsetSums.of(logits, labels, point)}

        fitted = fit_offsets(sums, ClassOffsets.none(3))
        assert fitted is not None
        scores = lesion_scores(labels, fitted.point.probabilities(logits), 0)
        threshold = promise(ScoreCounts.of_lesions(scores)).threshold
        assert threshold is not None
        missed.append((fitted.point.probabilities(unseen)[:, 0] < threshold).mean())
    assert np.mean(np.array(missed) <= 0.1) >= 0.95 - 3 * np.sqrt(0.95 * 0.05 / DRAWS)
