"""Lite0's weights in B0 for batch normalisation that stays frozen: with statistics that fit swish.

Lite0's own statistics are of ReLU6 activations and of no squeeze-and-excitation, so B0's maps drift away
from them, block by block. Statistics of drawn lesions take their place (:file:`lite0_statistics.npz`, made
by ``scripts/lite0_statistics``), and squeeze-and-excitation lets every channel pass alike, as if it were not
there.
"""

from __future__ import annotations

from importlib.resources import files

import keras
import numpy as np
from numpy.typing import NDArray

STATISTICS_FILE = "lite0_statistics.npz"

_PASSES = 2.0
"""Before the sigmoid, which is 0.88 then: batch normalisation takes the scale, and all can still learn."""


def settle_lite0(model: keras.Model) -> None:
    """Give a B0 classifier that :func:`~dermafed.shared.model.lite0.fit_lite0` has filled its own statistics.

    A classifier that reads the statistics of blocks ends before the last layers, which the file has too.
    """
    open_squeeze_excite(model)
    means, variances = _load_statistics()
    start = 0
    for layer in backbone_norms(model):
        end = start + layer.moving_mean.shape[0]
        layer.moving_mean.assign(means[start:end])
        layer.moving_variance.assign(variances[start:end])
        start = end


def open_squeeze_excite(model: keras.Model) -> None:
    """Let squeeze-and-excitation scale every channel of every image alike."""
    for layer in model.layers:
        if layer.name.endswith("_se_expand"):
            kernel, bias = layer.get_weights()
            layer.set_weights([np.zeros_like(kernel), np.full_like(bias, _PASSES)])


def backbone_norms(model: keras.Model) -> list[keras.layers.BatchNormalization]:
    """The backbone's batch normalisations, in the order of its layers."""
    kind = keras.layers.BatchNormalization
    return [each for each in model.layers if isinstance(each, kind) and not each.name.startswith("head")]


def _load_statistics() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean and variance of each channel of each layer in turn."""
    with files("dermafed.shared.model").joinpath(STATISTICS_FILE).open("rb") as file, np.load(file) as saved:
        return saved["mean"].astype(np.float32), saved["variance"].astype(np.float32)
