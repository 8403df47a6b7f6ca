"""The tables of the frozen blocks' sizes against the networks themselves."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from math import prod

import keras
import pytest

from dermafed.shared.model.blocks import block_of
from dermafed.shared.model.classifier import build_classifier
from dermafed.shared.model.front_size import features_of, share_of_work
from dermafed.shared.model.model_settings import Backbone, ModelSettings
from dermafed.shared.training.frozen_front import frozen_front


def settings(backbone: Backbone, frozen_blocks: int) -> ModelSettings:
    return ModelSettings(("a", "b"), backbone=backbone, image_size=64, frozen_blocks=frozen_blocks)


@cache
def _built(settings: ModelSettings) -> keras.Model:
    return build_classifier(settings)


def network(settings: ModelSettings) -> keras.Model:
    """Its layers and shapes, which no number of frozen blocks changes."""
    return _built(replace(settings, frozen_blocks=0))


def multiply_adds(layer: keras.Layer) -> int:
    if isinstance(layer, keras.layers.DepthwiseConv2D):
        return prod(layer.kernel_size) * prod(layer.output.shape[1:])
    if isinstance(layer, keras.layers.Conv2D):
        return prod(layer.kernel_size) * layer.input.shape[-1] * prod(layer.output.shape[1:])
    return 0


@pytest.mark.parametrize(
    ("backbone", "blocks"), [("EfficientNetB0", 7), ("EfficientNetB3", 7), ("EfficientNetV2B0", 6)]
)
def test_they_are_those_of_keras(backbone: Backbone, blocks: int) -> None:
    built = network(settings(backbone, 1))
    of_layers = [(block_of(layer.name), multiply_adds(layer)) for layer in built.layers]
    for frozen in range(1, blocks + 1):
        front = frozen_front(built, frozen)
        assert front is not None
        asked = settings(backbone, frozen)
        assert features_of(asked) == pytest.approx(prod(front.output_shape[1:]), rel=0.2)
        share = sum(work for block, work in of_layers if block <= frozen) / sum(work for _, work in of_layers)
        assert share_of_work(asked) == pytest.approx(share, abs=0.06)


@pytest.mark.parametrize(("backbone", "cut"), [("EfficientNetB0", 5), ("EfficientNetV2B0", 4)])
def test_the_front_ends_at_the_first_block_that_the_last_layer_reads(backbone: Backbone, cut: int) -> None:
    read = ModelSettings(
        ("a", "b"), backbone=backbone, image_size=64, frozen_blocks=cut + 1, features="blocks"
    )
    assert features_of(read) == features_of(settings(backbone, cut))
    assert share_of_work(read) == share_of_work(settings(backbone, cut))
    front, whole = frozen_front(network(read), cut + 1), network(settings(backbone, cut))
    shorter = frozen_front(whole, cut)
    assert front is not None
    assert shorter is not None
    assert front.output.shape == shorter.output.shape


def test_where_all_blocks_are_frozen_the_front_ends_behind_what_the_last_layer_reads() -> None:
    read = ModelSettings(("a", "b"), backbone="EfficientNetV2B0", image_size=64, features="blocks")
    front = frozen_front(network(read), 6)
    assert front is not None
    assert front.output_shape == (None, 2 * (96 + 112 + 192))  # means and deviations of blocks 4 to 6


def test_worked_example_of_four_blocks_of_b0() -> None:
    model = ModelSettings(("a", "b"), image_size=128, frozen_blocks=4)
    assert features_of(model) == 8 * 8 * 80


def test_without_frozen_blocks_there_are_no_features() -> None:
    nothing = settings("EfficientNetB0", 0)
    assert (features_of(nothing), share_of_work(nothing)) == (0, 0)


def test_the_seventh_block_of_a_network_with_six_is_its_sixth() -> None:
    assert features_of(settings("EfficientNetV2B0", 7)) == features_of(settings("EfficientNetV2B0", 6))
