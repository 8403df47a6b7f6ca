"""Cross-entropy on logits, with the classes' prior or a focus on hard images."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np
from numpy.typing import NDArray


class PriorAdjustedCrossEntropy(keras.losses.Loss):  # type: ignore[misc]
    """-sum_c y_c log softmax(z + b)_c, b the classes' log prior or 0.

    Logit adjustment (Menon et al. 2021, arXiv:2007.07314, eq. 10, tau = 1). ``y_true`` carries
    both: float32 (B, 2C), one-hot labels y then b, so that the loss has no state and one traced
    step serves every clinic. The labels may be multiplied by a weight of the image. With a focus gamma each
    class's term is multiplied by (1 - softmax_c)^gamma (Lin et al. 2017, arXiv:1708.02002, eq. 4).

    Example:
        C = 2, y = [1, 0], z = [0, 0], b = log [0.25, 0.75]: the loss is -log 0.25 = 1.386, with gamma = 2
        0.75^2 times that, 0.780.
    """

    def __init__(self, focus: float = 0.0) -> None:
        super().__init__(name="prior_adjusted_cross_entropy", reduction="mean_with_sample_weight")
        self._focus = focus

    def call(self, y_true: keras.KerasTensor, y_pred: keras.KerasTensor) -> keras.KerasTensor:
        """Return the loss of each image (B,)."""
        labels, offset = keras.ops.split(y_true, 2, axis=-1)
        log_p = keras.ops.log_softmax(y_pred + offset, axis=-1)
        if self._focus:
            labels = labels * (1 - keras.ops.exp(log_p)) ** self._focus
        return -keras.ops.sum(labels * log_p, axis=-1)


ABSENT = np.float32(-1e9)
"""The log prior of a class that takes no part: finite, and so low that its softmax is exactly 0."""


def without(log_prior: NDArray[np.float32], absent: Sequence[bool]) -> NDArray[np.float32]:
    """The log prior with ABSENT for these classes, so that they take no part in the loss.

    Neither the loss nor its slope by any other logit depends on theirs, and the slope by theirs is exactly 0:
    no image says that it is not of a class that the clinic has never seen. FedRS (Li and Zhan 2021,
    doi:10.1145/3447548.3467254) scales these logits down; here they are left out.

    Args:
        log_prior: of each class (C,), or zeros.
        absent: whether the clinic lacks it (C,).
    """
    return np.where(absent, ABSENT, log_prior)


def targets(
    labels: NDArray[np.int64], log_prior: NDArray[np.float32], smoothing: float = 0.0
) -> NDArray[np.float32]:
    """One-hot labels beside the log prior, as the loss takes them: float32 (N, 2C).

    Smoothing is shared among the classes that take part.
    """
    classes, present = len(log_prior), log_prior > ABSENT
    smooth = np.float32(smoothing / present.sum()) * present
    one_hot = np.eye(classes, dtype=np.float32)[labels] * (1 - smoothing) + smooth
    return np.concatenate([one_hot, np.broadcast_to(log_prior, one_hot.shape)], axis=1)


def log_prior(counts: NDArray[np.int64]) -> NDArray[np.float32]:
    """Log of the classes' shares, each class counted once more, so that an absent one is finite.

    Args:
        counts: images of each class (C,).
    """
    smoothed = counts + 1
    return np.asarray(np.log(smoothed / smoothed.sum()), np.float32)
