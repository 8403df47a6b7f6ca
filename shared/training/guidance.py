"""Guided tuning: evidence outside the lesion is a term of the loss, for images with a lesion mask.

The classifier's last layer reads statistics of maps, so that the logit of an image's own class c is a
constant and a sum over cells, e_c(i) (:mod:`dermafed.shared.explain.evidence`). With s_i the share of cell i
that is lesion, the term is

    t = out / (in + out),   in = sum_i s_i |e_c(i)| / sum_i s_i,
                            out = sum_i (1 - s_i) |e_c(i)| / sum_i (1 - s_i),

and the loss of the image is its cross-entropy + guidance * t. in and out are energies *for each cell*: this
is the size term. With plain sums, t of an even map would be 1 less the lesion's share of the image, and where
lesions are small a step could hardly change it. With means it is 1/2 for a lesion of any size, and its slope
by relative changes of the energies is the same too. All evidence inside gives 0, all outside 1.

The energy loss is of Rao et al. 2023, "Studying How to Efficiently and Effectively Guide Models with
Explanations" (arXiv:2303.11932, section 3.2), of positive attributions within boxes; here of both signs, as
the measures of where evidence is.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from dermafed.shared.explain.evidence import additive_evidence, grid_and_maps
from dermafed.shared.training.loss import PriorAdjustedCrossEntropy

_LEAST = 1e-7  # logits a cell: an image without any evidence has a term of 0, and a finite slope


def outside_share(evidence: keras.KerasTensor, shares: keras.KerasTensor) -> keras.KerasTensor:
    """The term t of each image, (B,), from 0 to 1; 0 where the mask is empty or the image is all lesion.

    Args:
        evidence: of each cell for the image's class, (B, G * G), logits.
        shares: how much of the cell is lesion, (B, G * G), 0 to 1.
    """
    energy = keras.ops.abs(evidence)
    within, without = (
        keras.ops.sum(energy * part, axis=-1) / keras.ops.maximum(keras.ops.sum(part, axis=-1), _LEAST)
        for part in (shares, 1 - shares)
    )
    known = keras.ops.cast(keras.ops.any(shares > 0, axis=-1), energy.dtype)
    return known * without / (within + without + _LEAST)


def beside_targets(targets: NDArray[np.float32], lesions: NDArray[np.float32]) -> NDArray[np.float32]:
    """What :class:`GuidedCrossEntropy` takes: the targets (B, 2C), and the cells (B, G, G) in one row."""
    return np.concatenate([targets, lesions.reshape(len(lesions), -1)], axis=1)


class GuidedCrossEntropy(keras.losses.Loss):  # type: ignore[misc]
    """The cross-entropy and the guidance times t.

    ``y_true`` is :func:`beside_targets`, float32 (B, 2C + G * G); ``y_pred`` is :func:`guided_output`.
    """

    def __init__(self, cross_entropy: PriorAdjustedCrossEntropy, classes: int, guidance: float) -> None:
        super().__init__(name="guided_cross_entropy", reduction="mean_with_sample_weight")
        self._cross_entropy, self._classes, self._guidance = cross_entropy, classes, guidance

    def call(self, y_true: keras.KerasTensor, y_pred: keras.KerasTensor) -> keras.KerasTensor:
        """Return the loss of each image (B,)."""
        classes = self._classes
        targets, shares = y_true[:, : 2 * classes], y_true[:, 2 * classes :]
        logits, cells = y_pred[:, :classes], y_pred[:, classes:]
        own = keras.ops.one_hot(keras.ops.argmax(targets[:, :classes], axis=-1), classes)
        evidence = keras.ops.reshape(cells, (-1, shares.shape[-1], classes)) @ own[:, :, None]
        term = outside_share(keras.ops.squeeze(evidence, axis=-1), shares)
        return self._cross_entropy.call(targets, logits) + self._guidance * term


def guided_output(classifier: keras.Model) -> keras.KerasTensor:
    """The logits (N, C) and, beside them, the evidence of the cells, in all (N, C + G * G * C).

    Args:
        classifier: of :func:`dermafed.shared.model.classifier.build_classifier`, as rounds train it.

    Raises:
        ModelError: its last layer does not read statistics of blocks.
    """
    norm, dense = (classifier.get_layer(name) for name in ("head_norm", "logits"))
    grid, maps = grid_and_maps(classifier)
    cells = TrainedEvidence(norm, dense, grid, name="trained_evidence")([norm.input, *maps])
    return keras.layers.Concatenate(name="guided")([dense.output, keras.layers.Flatten()(cells)])


class TrainedEvidence(keras.layers.Layer):  # type: ignore[misc]
    """Additive evidence (N, G, G, C) of the weights of this step, through which gradients pass.

    Where batch normalisation uses the batch's statistics, so does the evidence: it adds up to the step's
    logits before dropout, less those of the batch's mean image.
    """

    def __init__(self, norm: keras.Layer, dense: keras.Layer, grid: int, **options: Any) -> None:
        super().__init__(**options)
        self._norm, self._dense, self._grid = norm, dense, grid

    def call(self, inputs: list[keras.KerasTensor], training: bool | None = None) -> keras.KerasTensor:
        """Evidence of the features (N, K) and the maps that they are of."""
        features, *maps = inputs
        norm, means, variances = self._norm, self._norm.moving_mean, self._norm.moving_variance
        if training and norm.trainable:
            means, variances = keras.ops.moments(features, axes=0)
        scale = norm.gamma * keras.ops.rsqrt(variances + norm.epsilon)
        slopes = scale[:, None] * self._dense.kernel[: features.shape[-1]]
        return additive_evidence(maps, self._grid, slopes, keras.ops.convert_to_tensor(means))
