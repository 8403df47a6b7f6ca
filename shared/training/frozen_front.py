"""A classifier in two: its frozen blocks, which no training changes, and the rest."""

from __future__ import annotations

import hashlib
from functools import lru_cache

import keras

from dermafed.shared.model.blocks import block_of
from dermafed.shared.model.image_features import last_cut


@lru_cache(maxsize=2)
def frozen_front(classifier: keras.Model, frozen_blocks: int) -> keras.Model | None:
    """The classifier's stem and frozen blocks, with its own layers and weights.

    Where the last layer reads the maps of several blocks, the front ends at the first of these; where all
    blocks are frozen, behind the statistics that the last layer reads. One for each classifier, since it is
    traced when it is first used.

    Args:
        classifier: of :func:`dermafed.shared.model.classifier.build_classifier`.
        frozen_blocks: its number of frozen blocks.

    Returns:
        From images float32 (N, S, S, 3) to features float32 (N, H, W, K), or (N, K); ``None`` where no block
        is frozen.
    """
    cut = min(frozen_blocks, last_cut(classifier))
    if cut and frozen_blocks >= max(block_of(layer.name) for layer in classifier.layers):
        return keras.Model(classifier.inputs[0], classifier.get_layer("head_norm").input)
    frozen = [layer for layer in classifier.layers if 1 <= block_of(layer.name) <= cut]
    return keras.Model(classifier.inputs[0], frozen[-1].output) if frozen else None


def rest_of(classifier: keras.Model, front: keras.Model, output: keras.KerasTensor) -> keras.Model:
    """The layers behind the front up to a tensor: from features, and metadata if any, to that."""
    _, *metadata = classifier.inputs
    inputs = [front.output, *metadata]
    return keras.Model(inputs if metadata else inputs[0], output)


def digest_of_front(front: keras.Model) -> bytes:
    """SHA-256 of the front's weights and of the shapes of its features."""
    digest = hashlib.sha256(repr(front.output_shape).encode())
    for value in front.get_weights():
        digest.update(repr(value.shape).encode())
        digest.update(value.tobytes())
    return digest.digest()
