"""What the last layer reads of an image: the last maps' means, or statistics of the last blocks' maps.

Block statistics are the mean and the standard deviation, over the image, of each channel of the last three
blocks: 800 numbers for EfficientNetV2-B0, with 96, 112 and 192 channels. The deviation tells a texture from
an even surface of the same mean, and earlier blocks see finer ones. (Statistics pooling: Snyder et al. 2018,
"X-Vectors", section 2.1.)
"""

from __future__ import annotations

from functools import lru_cache

import keras

from dermafed.shared.model.blocks import maps_of_blocks
from dermafed.shared.model.lesion_weights import finder_variables, lesion_weights, weighted_statistics
from dermafed.shared.model.model_settings import BLOCKS, Features

_MEAN = "mean_of_block"
LEAST_VARIANCE = 1e-8  # so that the root of a constant map's variance has a slope


def image_features(backbone: keras.Model, kind: Features) -> keras.KerasTensor:
    """The features float32 (N, K) of a backbone's images.

    Args:
        backbone: an EfficientNet without top, whose layers carry their block's number in their name.
        kind: ``pooled``, K the channels of the last maps; ``blocks``, the means and deviations of each block
            in turn, the earliest first; or ``lesion``, the same of the lesion
            (:mod:`dermafed.shared.model.lesion_weights`).
    """
    if kind == "pooled":
        return keras.layers.GlobalAveragePooling2D(name="pooled")(backbone.output)
    maps = maps_of_blocks(backbone)
    last = sorted(maps)[-BLOCKS:]
    weights = lesion_weights(maps) if kind == "lesion" else None
    statistics = [part for block in last for part in _statistics(maps[block], block, weights)]
    return keras.layers.Concatenate(name="statistics_of_blocks")(statistics)


def last_cut(classifier: keras.Model) -> int:
    """The last block after which the classifier can be cut in two: later ones' maps are not all it reads.

    0 for features of the lesion, which its finder finds by the maps of early blocks.
    """
    if finder_variables(classifier):
        return 0
    read = [int(layer.name[-1]) for layer in classifier.layers if layer.name.startswith(_MEAN)]
    return min(read, default=7)


@lru_cache(maxsize=2)
def features_network(classifier: keras.Model) -> keras.Model:
    """What a classifier's last layer reads: a network of the same inputs, its output float32 (N, K).

    One for each classifier, since it is traced when it is first used.
    """
    return keras.Model(classifier.input, classifier.get_layer("logits").input)


def _statistics(
    maps: keras.KerasTensor, block: int, weights: keras.KerasTensor | None
) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    if weights is None:
        mean = keras.layers.GlobalAveragePooling2D(name=f"{_MEAN}{block}")(maps)
        variance = keras.ops.var(maps, axis=(1, 2))
    else:
        mean, variance = weighted_statistics(maps, weights)
    return mean, keras.ops.sqrt(variance + LEAST_VARIANCE)
