from __future__ import annotations

import keras
import numpy as np
import pytest

from dermafed.shared.errors import ModelError
from dermafed.shared.model.classifier import HEAD_SCALE, build_classifier
from dermafed.shared.model.flat_weights import (
    batch_norm_mask,
    exchanged_variables,
    set_flat,
    to_flat,
    trainable_mask,
)
from tests.shared.training.tiny import tiny, tiny_backbones


def counted(model: keras.Model, kind: type[keras.layers.Layer]) -> int:
    return sum(w.size for layer in model.layers if isinstance(layer, kind) for w in layer.get_weights())


def test_the_vector_is_everything_but_the_input_normalisation(b0: keras.Model) -> None:
    flat = to_flat(b0)
    assert flat.dtype == np.float32
    # Keras' summary: 4,049,571 without top, of them 3 + 3 + 1 of the normalisation.
    assert flat.size == 4_049_571 - 7 + 4 * 1280 + (1280 + 1) * 3
    assert counted(b0, keras.layers.Normalization) == 7
    assert not any("normalization/" in variable.path for variable in exchanged_variables(b0))


def test_batch_norm_has_four_values_a_channel(b0: keras.Model) -> None:
    mask, flat = batch_norm_mask(b0), to_flat(b0)
    assert mask.shape == flat.shape
    assert mask.sum() == counted(b0, keras.layers.BatchNormalization)
    # Fresh batch norms: scale 1 (the head's less), shift 0, mean 0, variance 1.
    assert (flat[mask] == 0).sum() == mask.sum() / 2
    assert set(np.unique(flat[mask])) == {0, np.float32(HEAD_SCALE), 1}


def test_all_but_moving_statistics_are_trained(b0: keras.Model) -> None:
    batch_norm, trained = batch_norm_mask(b0), trainable_mask(b0)
    assert trained[~batch_norm].all()
    assert trained[batch_norm].sum() == batch_norm.sum() / 2
    assert trained.sum() == sum(int(np.prod(v.shape)) for v in b0.trainable_variables)


def test_frozen_layers_are_not_trained() -> None:
    with tiny_backbones():
        model = build_classifier(tiny(batch_norm="frozen", frozen_blocks=1))
    by_hand = 3 * 3 * 4 * 8 + 2 * 8 + 8 * 3 + 3  # the last convolution, the head's norm, the dense layer
    assert trainable_mask(model).sum() == by_hand


def test_a_round_trip_changes_nothing() -> None:
    with tiny_backbones():
        model, other = build_classifier(tiny()), build_classifier(tiny())
    weights = np.random.default_rng(0).uniform(0.5, 1.5, to_flat(model).size).astype(np.float32)
    set_flat(model, weights)
    np.testing.assert_array_equal(to_flat(model), weights)
    set_flat(other, to_flat(model))
    for one, same in zip(model.weights, other.weights, strict=True):
        np.testing.assert_array_equal(
            keras.ops.convert_to_numpy(one.value), keras.ops.convert_to_numpy(same.value)
        )


@pytest.mark.parametrize("size", [0, 1, -1])
def test_a_vector_of_another_size_is_refused(size: int) -> None:
    with tiny_backbones():
        model = build_classifier(tiny())
    weights = to_flat(model)
    with pytest.raises(ModelError, match="this architecture has"):
        set_flat(model, np.resize(weights, weights.size + size if size else 0))
    np.testing.assert_array_equal(to_flat(model), weights)
