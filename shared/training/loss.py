"""Cross-entropy on logits, with each clinic's label prior where the recipe asks for it."""

from __future__ import annotations

import keras
import numpy as np
from numpy.typing import NDArray


class PriorAdjustedCrossEntropy(keras.losses.Loss):  # type: ignore[misc]
    """-sum_c y_c log softmax(z + b)_c, b the log prior of the clinic's labels or 0.

    Logit adjustment (Menon et al. 2021, arXiv:2007.07314, eq. 10, tau = 1). ``y_true`` carries
    both: float32 (B, 2C), one-hot labels y then b, so that the loss holds no state and one traced
    step serves every clinic.

    Example:
        C = 2, y = [1, 0], z = [0, 0], b = log [0.25, 0.75]: the loss is -log 0.25 = 1.386.
    """

    def __init__(self) -> None:
        super().__init__(name="prior_adjusted_cross_entropy", reduction="mean_with_sample_weight")

    def call(self, y_true: keras.KerasTensor, y_pred: keras.KerasTensor) -> keras.KerasTensor:
        """Returns the loss of each image (B,)."""
        labels, offset = keras.ops.split(y_true, 2, axis=-1)
        return keras.ops.categorical_crossentropy(labels, y_pred + offset, from_logits=True)


def targets(
    labels: NDArray[np.int64], log_prior: NDArray[np.float32], smoothing: float = 0.0
) -> NDArray[np.float32]:
    """One-hot labels beside the log prior, as the loss takes them: float32 (N, 2C)."""
    classes = len(log_prior)
    one_hot = np.eye(classes, dtype=np.float32)[labels] * (1 - smoothing) + smoothing / classes
    return np.concatenate([one_hot, np.broadcast_to(log_prior, one_hot.shape)], axis=1)


def log_prior(labels: NDArray[np.int64], classes: int) -> NDArray[np.float32]:
    """Log of the classes' shares, each class counted once more, so that an absent one is finite."""
    counts = np.bincount(labels, minlength=classes) + 1
    return np.log(counts / counts.sum()).astype(np.float32)


def class_weights(labels: NDArray[np.int64], classes: int) -> NDArray[np.float32]:
    """n / (C n_c) for each class (scikit-learn's "balanced"), 0 for an absent one: float32 (C,)."""
    counts = np.bincount(labels, minlength=classes)
    return np.divide(len(labels), classes * counts, out=np.zeros(classes), where=counts > 0).astype(
        np.float32
    )
