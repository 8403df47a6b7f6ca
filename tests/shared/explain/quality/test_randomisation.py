"""Randomised weights: methods that ignore the weights fail, and the model is not changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import keras
import numpy as np
import pytest

from dermafed.shared.errors import ModelError
from dermafed.shared.explain.maps import Explain, Heatmap, Image
from dermafed.shared.explain.quality.randomisation import randomised
from dermafed.shared.explain.quality.stability import correlation
from tests.shared.explain.quality.toy_models import centred, edges, random_image

SIDE = 16


def classifier() -> keras.Model:
    keras.utils.set_random_seed(1)
    image = keras.Input((SIDE, SIDE, 3))
    x = keras.layers.Normalization(mean=[100.0, 110.0, 120.0], variance=[50.0, 60.0, 70.0])(image)
    x = keras.layers.Conv2D(16, 3, activation="relu", padding="same", name="maps")(x)
    x = keras.layers.BatchNormalization(moving_variance_initializer="ones")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, keras.layers.Dense(3, activation="softmax", name="head")(x))


def cam_for(model: keras.Model) -> Explain:
    """Class activation mapping without its ReLU (Zhou et al. 2016)."""
    maps = keras.Model(model.input, model.get_layer("maps").output)
    weights = keras.ops.convert_to_numpy(model.get_layer("head").kernel)

    def explain(image: Image, target: int) -> Heatmap:
        activations = keras.ops.convert_to_numpy(maps(image[None].astype(np.float32)))[0]
        heatmap = activations @ weights[:, target]
        return np.asarray((heatmap - heatmap.min()) / np.ptp(heatmap), np.float32)

    return explain


def images() -> list[tuple[Image, int]]:
    return [(random_image(seed, SIDE), seed % 3) for seed in range(4)]


def similarity(explain_for: Callable[[keras.Model], Explain], scope: Literal["head", "everything"]) -> float:
    """Mean correlation of the maps of a model with those of the same model shuffled."""
    trained, shuffled = (explain_for(model) for model in (classifier(), randomised(classifier(), scope)))
    return float(np.mean([correlation(trained(*each), shuffled(*each)) for each in images()]))


def test_a_method_that_reads_the_weights_passes() -> None:
    assert abs(similarity(cam_for, "head")) < 0.9
    assert similarity(cam_for, "everything") < 0.5


@pytest.mark.parametrize("explain", [centred, edges])
def test_a_method_that_does_not_fails(explain: Explain) -> None:
    assert similarity(lambda model: explain, "everything") == pytest.approx(1)


def test_the_model_is_not_changed() -> None:
    model = classifier()
    before, picture = model.get_weights(), random_image(9, SIDE)[None].astype(np.float32)
    answer = model.predict_on_batch(picture)
    randomised(model, "everything")
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    np.testing.assert_array_equal(answer, model.predict_on_batch(picture))


def test_what_is_permuted() -> None:
    model = classifier()
    head, everything = randomised(model, "head"), randomised(model, "everything")
    assert not np.array_equal(head.get_layer("head").kernel, model.get_layer("head").kernel)
    np.testing.assert_array_equal(head.get_layer("maps").kernel, model.get_layer("maps").kernel)
    mixed = keras.ops.convert_to_numpy(everything.get_layer("maps").kernel).ravel()
    trained = keras.ops.convert_to_numpy(model.get_layer("maps").kernel).ravel()
    assert not np.array_equal(mixed, trained)
    np.testing.assert_array_equal(np.sort(mixed), np.sort(trained))
    assert [type(layer) for layer in everything.layers] == [type(layer) for layer in model.layers]


def test_the_seed_decides() -> None:
    model = classifier()
    kernels = [randomised(model, "head", seed=seed).get_layer("head").kernel for seed in (1, 1, 2)]
    np.testing.assert_array_equal(kernels[0], kernels[1])
    assert not np.array_equal(kernels[0], kernels[2])


def test_layers_of_an_inner_model_count() -> None:
    inner = classifier()
    outer = keras.Sequential([keras.Input((SIDE, SIDE, 3)), inner])
    changed = randomised(outer, "head").layers[-1]
    np.testing.assert_array_equal(changed.get_layer("maps").kernel, inner.get_layer("maps").kernel)
    assert not np.array_equal(changed.get_layer("head").kernel, inner.get_layer("head").kernel)


def test_models_that_cannot_be_randomised() -> None:
    image = keras.Input((SIDE, SIDE, 3))
    with pytest.raises(ModelError, match="no weights"):
        randomised(keras.Model(image, keras.layers.GlobalAveragePooling2D()(image)), "head")

    class Subclass(keras.Model):  # type: ignore[misc]
        def __init__(self, width: int) -> None:
            super().__init__()
            self.dense = keras.layers.Dense(width)

    with pytest.raises(ModelError, match="cannot be rebuilt"):
        randomised(Subclass(3), "head")
