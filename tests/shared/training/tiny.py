"""A classifier of a few hundred weights in the place of two EfficientNets, for what no architecture changes.

The names of its layers and its kinds of layers are EfficientNet's. It stands in for B7 (without stochastic
depth) and B6 (with), and one of six blocks for B5. No test uses these otherwise, since a process keeps its
networks by their settings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from dermafed.shared.model.classifier import build_classifier, to_flat
from dermafed.shared.model.model_settings import ModelSettings
from dermafed.shared.training.data import LabelledImages
from dermafed.shared.training.keras_trainer import KerasTrainer
from dermafed.shared.training.recipe import Recipe
from dermafed.shared.training.trainer import FloatVector
from dermafed.shared.training.training_network import shared_classifier

CLASSES = ("melanoma", "nevus", "seborrheic_keratosis")
SIDE = 32


@contextmanager
def tiny_backbones() -> Iterator[None]:
    """Lets B7 and B6 be the tiny backbone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keras.applications, "EfficientNetB7", _backbone(0.0))
        patch.setattr(keras.applications, "EfficientNetB6", _backbone(0.5))
        patch.setattr(keras.applications, "EfficientNetB5", _blocks)
        yield


def _backbone(drop: float) -> Callable[..., keras.Model]:
    def build(include_top: bool, weights: str | None, input_shape: tuple[int, int, int]) -> keras.Model:
        layers = keras.layers
        image = keras.Input(input_shape)
        x = layers.Normalization(axis=3)(layers.Rescaling(1 / 255)(image))
        x = layers.Conv2D(4, 3, strides=4, use_bias=False, name="stem_conv")(x)
        x = layers.Activation("swish", name="stem_activation")(layers.BatchNormalization(name="stem_bn")(x))
        y = layers.DepthwiseConv2D(3, padding="same", use_bias=False, name="block1a_dwconv")(x)
        y = layers.BatchNormalization(name="block1a_bn")(y)
        y = layers.Dropout(drop, noise_shape=(None, 1, 1, 1), name="block1a_drop")(y)
        y = layers.Dropout(drop, noise_shape=(None, 1, 1, 1), name="block2a_drop")(y)
        x = layers.Add(name="block2a_add")([x, y])
        # Without a border, the next layer would take out what block 1 adds to all places of a channel:
        # its slope would be rounding alone, of which AdamW makes steps as large as any.
        x = layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False, name="top_conv")(x)
        x = layers.BatchNormalization(name="top_bn")(x)
        model = keras.Model(image, layers.Activation("swish", name="top_activation")(x))
        if weights:
            model.load_weights(weights)
        return model

    return build


def _blocks(include_top: bool, weights: None, input_shape: tuple[int, int, int]) -> keras.Model:
    """Blocks 1 to 6 with EfficientNet's strides, for what reads statistics of blocks.

    A finder of lesions asks block 3 for six channels.
    """
    layers = keras.layers
    image = keras.Input(input_shape)
    x = layers.Normalization(axis=3)(layers.Rescaling(1 / 255)(image))
    for block, strides in enumerate((2, 2, 2, 2, 1, 2), 1):
        channels = 6 if block == 3 else 4
        x = layers.Conv2D(channels, 3, strides, padding="same", use_bias=False, name=f"block{block}a_conv")(x)
        x = layers.Activation("swish", name=f"block{block}a_activation")(x)
    return keras.Model(image, x)


def tiny(**changes: Any) -> ModelSettings:
    """Settings of the tiny classifier, without dropout."""
    fields = {
        "classes": CLASSES,
        "backbone": "EfficientNetB7",
        "image_size": SIDE,
        "dropout": 0.0,
        "batch_norm": "aggregate",
    }
    return ModelSettings(**{**fields, "batch_norm": "aggregate", **changes})


def plain(**changes: Any) -> Recipe:
    """A recipe without augmentation and balance."""
    return Recipe(
        **{
            "epochs": 1,
            "batch_size": 4,
            "learning_rate": 0.05,
            "balance": "none",
            "augment": False,
            **changes,
        }
    )


def without_batch_statistics() -> ModelSettings:
    """Settings whose shared classifier has all batch norms frozen, the head's too."""
    settings = tiny(batch_norm="frozen", classes=("a", "b", "c"))
    shared_classifier(settings).get_layer("head_norm").trainable = False
    return settings


def lesions(images: int, seed: int = 0) -> LabelledImages:
    """Random images whose brightness depends on the class."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(images) % len(CLASSES))
    pixels = rng.integers(0, 100, (images, SIDE, SIDE, 3)) + 70 * labels[:, None, None, None]
    return LabelledImages(pixels.astype(np.uint8), labels)


def start(settings: ModelSettings, seed: int = 1) -> FloatVector:
    """Random first weights, batch norm's too (positive, as variances are)."""
    keras.utils.set_random_seed(seed)
    noise: NDArray[np.float32] = np.random.default_rng(seed).uniform(0.8, 1.2, 10_000).astype(np.float32)
    weights = to_flat(build_classifier(settings))
    return weights * noise[: weights.size] + 0.01 * noise[: weights.size]


def trainer(settings: ModelSettings, recipe: Recipe, data: LabelledImages, **options: Any) -> KerasTrainer:
    """A clinic that judges itself on its training images."""
    fields = {"train": data, "validation": data, "rounds": 1, "seed": 7, **options}
    return KerasTrainer(settings, recipe, **fields)
