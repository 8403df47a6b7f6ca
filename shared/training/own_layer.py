"""A clinic's own last layer: the federation's, moved by the clinic's images as far as their number warrants.

The layer W, b of the least

    -sum_i w_i log p_i + (pull / 2) (sum_jc (s_j (W - W0)_jc)^2 + sum_c d_c^2)

where p_i is the probability of image i's class, W0, b0 the federation's layer, s_j the deviation of feature j
at the clinic, and d the change of the scores of the clinic's mean image: the most probable layer if, before
an image is seen, every one of these changes is drawn from N(0, 1 / pull). (For the whole network: Li et al.
2021, "Ditto", equation 1.) It needs nothing of other clinics, and nothing of it leaves the clinic.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax

from dermafed.shared.training.exact_head.head_sums import Floats
from dermafed.shared.training.exact_head.ridge import LinearHead

PULL = 1000.0
"""How strongly the layer is held, in images. Chosen on validation images of five clinics; a third of it and
three times did about as well."""

_STEPS = 500
_LEAST_DEVIATION = 1e-6  # of a feature that varies, against the largest one's


def own_layer(
    features: NDArray[np.floating],
    labels: NDArray[np.int64],
    weights: Floats,
    start: LinearHead,
    pull: float = PULL,
) -> LinearHead:
    """Fit a clinic's own last layer.

    A feature that is the same for all of the clinic's images keeps its weights.

    Args:
        features: of the clinic's training images, (N, K).
        labels: indices of their classes, (N,).
        weights: of an image of each class, about 1 in the mean over the federation's images, (C,).
        start: the federation's last layer.
        pull: how strongly the layer is held, above 0.
    """
    if not len(features):
        return start
    mean, scale = _moments(features)
    used = np.divide(1.0, scale, out=np.zeros_like(scale), where=scale > 0)
    inputs = np.c_[(features - mean) * used, np.ones(len(features))]
    scores, of_image = start.scores(features), weights[labels]
    truth = np.eye(len(weights))[labels]

    def loss(flat: Floats) -> tuple[float, Floats]:
        change = flat.reshape(inputs.shape[1], -1)
        logs = log_softmax(scores + inputs @ change, axis=1)
        slopes = inputs.T @ (of_image[:, None] * (np.exp(logs) - truth)) + pull * change
        return float(pull / 2 * (change**2).sum() - (of_image[:, None] * truth * logs).sum()), slopes.ravel()

    nothing = np.zeros(inputs.shape[1] * len(weights))
    found = minimize(loss, nothing, jac=True, method="L-BFGS-B", options={"maxiter": _STEPS})
    change = found.x.reshape(inputs.shape[1], -1)
    kernel = change[:-1] * used[:, None]
    return LinearHead(start.kernel + kernel, start.bias + change[-1] - mean @ kernel)


def _moments(features: NDArray[np.floating]) -> tuple[Floats, Floats]:
    """Mean and deviation of each feature, 0 where it does not vary; float64 (K,)."""
    mean, deviation = features.mean(axis=0, dtype=np.float64), features.std(axis=0, dtype=np.float64)
    return mean, np.where(deviation > _LEAST_DEVIATION * deviation.max(), deviation, 0.0)
