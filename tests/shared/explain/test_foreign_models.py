"""Models that somebody else made: their own probabilities are explained, or an error names the layer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product

import keras
import numpy as np
import pytest
from keras import layers, ops

from dermafed.shared.errors import ModelError
from dermafed.shared.explain.explainer import Explainer
from dermafed.shared.explain.network import open_network
from tests.shared.explain.foreign_models import (
    BODIES,
    HEADS,
    LOGITS,
    SIDE,
    SIGMOID,
    Tensor,
    backbone,
    foreign,
    pooled,
)
from tests.shared.explain.small_networks import small_image

IMAGES = np.stack([small_image(seed, SIDE) for seed in range(3)]).astype(np.float32)


def softmax(values: np.ndarray) -> np.ndarray:
    powers = np.exp(values - values.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def pairs() -> Iterator[object]:
    """Every body with every head; the fast tests have the first of each, and one pair more of each head."""
    for (b, body), (h, head) in product(enumerate(BODIES), enumerate(HEADS)):
        fast = 0 in (b, h) or (h - b) % len(BODIES) == 0
        yield pytest.param(body, head, marks=() if fast else pytest.mark.slow)


@pytest.mark.parametrize(("body", "head"), pairs())
def test_probabilities_are_the_models_own_and_logits_are_before_them(body: str, head: str) -> None:
    model = foreign(body, head)
    own = np.asarray(model(IMAGES, training=False), np.float32)
    maps, logits, probabilities = map(np.asarray, open_network(model).model(IMAGES, training=False))
    assert min(maps.shape[1:3]) > 1
    expected = softmax(own) if head in LOGITS else own
    assert probabilities == pytest.approx(expected, abs=1e-6)
    made = 0.5 + np.tanh(logits / 2) / 2 if head in SIGMOID else softmax(logits)
    assert made == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("body", "head"),
    [("nested twice", "operation"), ("augmented", "nested"), ("flat", "cast"), ("nested", "one sigmoid")],
)
@pytest.mark.parametrize("method", ["scorecam", "gradcam"])
def test_they_are_explained(body: str, head: str, method: str) -> None:
    check(foreign(body, head), method)


def check(model: keras.Model, method: str, tolerance: float = 1e-6) -> None:
    image = IMAGES[0].astype(np.uint8)
    explanation = Explainer(model).explain(image, method=method, target=0)
    own = np.asarray(model.predict(IMAGES[:1], verbose=0)[0], np.float32)
    assert explanation.probabilities == pytest.approx(own, abs=tolerance)
    assert explanation.probabilities.dtype == explanation.heatmap.dtype == np.float32
    assert not explanation.constant


@pytest.fixture(params=["mixed_float16", "mixed_bfloat16"])
def policy(request: pytest.FixtureRequest) -> Iterator[str]:
    keras.mixed_precision.set_global_policy(request.param)
    yield request.param
    keras.mixed_precision.set_global_policy("float32")


@pytest.mark.parametrize("method", ["scorecam", "gradcam", "cam"])
def test_mixed_precision_is_explained_by_its_own_numbers(policy: str, method: str) -> None:
    images = keras.Input((SIDE, SIDE, 3))
    logits = layers.Dense(3)(pooled(images))
    model = keras.Model(images, layers.Activation("softmax", dtype="float32")(logits))
    keras.mixed_precision.set_global_policy("float32")
    check(model, method)


def test_a_nested_model_of_mixed_precision(policy: str) -> None:
    half = backbone()
    keras.mixed_precision.set_global_policy("float32")
    images = keras.Input((SIDE, SIDE, 3))
    check(keras.Model(images, layers.Dense(3, activation="softmax")(half(images))), "gradcam")


def test_sequential_models_nested_in_sequential_models() -> None:
    shape = keras.Input((SIDE, SIDE, 3))
    inner = keras.Sequential([shape, layers.Conv2D(4, 3, activation="relu"), layers.GlobalMaxPooling2D()])
    head = keras.Sequential([keras.Input((4,)), layers.Dense(3), layers.Softmax()])
    check(keras.Sequential([inner, layers.Dropout(0.2), head]), "gradcam")


def test_names_that_differ_within_a_model_only() -> None:
    def branch(name: str) -> keras.Model:
        images = keras.Input((SIDE, SIDE, 3))
        maps = layers.Conv2D(4, 3, name="conv2d")(layers.Rescaling(1 / 255, name="small")(images))
        return keras.Model(images, layers.GlobalMaxPooling2D(name="pool")(maps), name=name)

    keras.utils.set_random_seed(3)
    images = keras.Input((SIDE, SIDE, 3))
    both = layers.Concatenate(name="conv2d")([branch("a")(images), branch("b")(images)])
    check(keras.Model(images, layers.Dense(3, activation="softmax", name="pool")(both)), "gradcam")


def test_a_model_of_two_inputs_is_explained_with_the_second_at_zero() -> None:
    images, age = keras.Input((SIDE, SIDE, 3)), keras.Input((2,))
    features = layers.Concatenate()([backbone()(images), age])
    model = keras.Model([age, images], layers.Dense(3, activation="softmax")(features))
    _, _, probabilities = open_network(model).model(IMAGES, training=False)
    expected = model([np.zeros((3, 2)), IMAGES], training=False)
    assert np.asarray(probabilities) == pytest.approx(np.asarray(expected), abs=1e-6)


class Closed(keras.Model):  # type: ignore[misc]
    """A model whose operations Keras does not list."""

    def __init__(self, name: str) -> None:
        super().__init__(name=name)
        self.inner = layers.Conv2D(3, 3)

    def call(self, images: Tensor) -> Tensor:
        return ops.mean(self.inner(images), (1, 2))


class Changed(type(backbone())):  # type: ignore[misc]
    """A functional model that does more than its graph says."""

    def call(self, *args: object, **kwargs: object) -> object:
        return 2 * super().call(*args, **kwargs)


def classifier(end: Callable[[Tensor], Tensor | list[Tensor]]) -> keras.Model:
    images = keras.Input((SIDE, SIDE, 3))
    return keras.Model(images, end(images))


def _channels_first(images: Tensor) -> Tensor:
    maps = layers.Conv2D(3, 3, data_format="channels_first", name="turned")(layers.Permute((3, 1, 2))(images))
    return layers.Softmax()(layers.Flatten()(maps))


def _changed() -> keras.Model:
    images = keras.Input((SIDE, SIDE, 3))
    return Changed(images, layers.Dense(3, activation="softmax")(pooled(images)), name="changed")


def _text_beside() -> keras.Model:
    images, words = keras.Input((SIDE, SIDE, 3)), keras.Input((None,), name="words")
    total = layers.Lambda(lambda each: each[:, :1], output_shape=(1,))(words)
    return keras.Model([images, words], layers.Dense(2)(layers.Concatenate()([pooled(images), total])))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: classifier(lambda images: layers.Dense(1, name="raw")(pooled(images))), "'raw'"),
        (lambda: classifier(lambda images: layers.Dense(3, "tanh", name="bent")(pooled(images))), "'bent'"),
        (
            lambda: classifier(
                lambda images: layers.Average(name="vote")(
                    [layers.Dense(3, activation="softmax")(pooled(images)) for _ in range(2)]
                )
            ),
            "'vote'",
        ),
        (
            lambda: classifier(
                lambda images: layers.Rescaling(0.5, name="less")(
                    layers.Dense(3, activation="softmax")(pooled(images))
                )
            ),
            "'less'",
        ),
        (
            lambda: classifier(
                lambda images: layers.Lambda(lambda each: each, name="code")(layers.Dense(3)(pooled(images)))
            ),
            "'code'",
        ),
        (
            lambda: classifier(lambda images: [layers.Dense(2, name=name)(pooled(images)) for name in "ab"]),
            "one output",
        ),
        (lambda: classifier(lambda images: layers.Softmax()(Closed("shut")(images))), "shut"),
        (lambda: Closed("shut"), "shut"),
        (_changed, "changed"),
        (_text_beside, "words"),
        (lambda: classifier(_channels_first), "'turned'"),
    ],
)
def test_what_cannot_be_opened_is_named(make: Callable[[], keras.Model], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        open_network(make())
