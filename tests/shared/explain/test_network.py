"""Opening a classifier: which layer has the maps, and where logits and probabilities come from."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from dermafed.shared.errors import ModelError
from dermafed.shared.explain.explainer import Explainer
from dermafed.shared.explain.network import open_network
from dermafed.shared.model.classifier import build_classifier
from dermafed.shared.model.model_settings import ModelSettings
from tests.shared.explain.small_networks import CLASSES, SIDE, small_classifier, small_image

IMAGES = np.stack([small_image(seed) for seed in range(3)]).astype(np.float32)


def outputs(classifier: keras.Model) -> list[np.ndarray]:
    return [np.asarray(output) for output in open_network(classifier).model(IMAGES, training=False)]


@pytest.mark.parametrize("end", ["softmax layer", "softmax", "linear", "sigmoid"])
def test_logits_and_probabilities_however_the_classifier_ends(end: str) -> None:
    classifier = small_classifier(end=end)
    _, logits, probabilities = outputs(classifier)
    answer = np.asarray(classifier(IMAGES, training=False))
    kernel, bias = classifier.get_layer("logits").get_weights()
    pooled = keras.Model(classifier.input, classifier.get_layer("norm").output)(IMAGES, training=False)
    assert logits == pytest.approx(np.asarray(pooled) @ kernel + bias, abs=1e-4)
    expected = np.asarray(keras.ops.softmax(answer)) if end == "linear" else answer
    assert probabilities == pytest.approx(expected, abs=1e-6)


def test_the_last_maps_are_found_or_named() -> None:
    classifier = small_classifier()
    network = open_network(classifier)
    assert (network.layer, network.size, network.cells) == ("last", (24, 24), (6, 6))
    assert (network.channels, network.classes) == (12, 3)
    first = classifier.layers[2].name
    assert open_network(classifier, first).cells == (12, 12)
    with pytest.raises(ModelError, match=f"{first}, last"):
        open_network(classifier, "lost")


@pytest.mark.parametrize("metadata", [False, True])
def test_our_classifier_is_opened_at_its_top(metadata: bool) -> None:
    settings = ModelSettings(("a", "b", "c"), image_size=64, metadata=metadata)
    classifier = build_classifier(settings)
    network = open_network(classifier)
    assert (network.layer, network.cells, network.channels) == ("top_activation", (2, 2), 1280)
    image = np.random.default_rng(0).uniform(0, 255, (1, 64, 64, 3)).astype(np.float32)
    inputs = [image, np.zeros((1, 10), np.float32)] if metadata else image
    _, _, probabilities = network.model(image, training=False)
    assert np.asarray(probabilities) == pytest.approx(
        np.asarray(classifier(inputs, training=False)), abs=1e-6
    )


def test_a_backbone_used_as_one_layer_and_sequential_models() -> None:
    images = keras.Input((SIDE, 20, 3))
    backbone = keras.Model(images, keras.layers.Conv2D(5, 3, strides=2, activation="relu")(images))
    model = keras.Sequential(
        [
            keras.Input((SIDE, 20, 3)),
            backbone,
            keras.layers.GlobalAveragePooling2D(keepdims=True),
            keras.layers.Flatten(),
            keras.layers.Dense(CLASSES),
        ]
    )
    network = open_network(model)
    assert (network.layer, network.cells) == (backbone.name, (11, 9))
    image = np.random.default_rng(0).integers(0, 255, (SIDE, 20, 3)).astype(np.uint8)
    for method in ("scorecam", "gradcam"):
        assert Explainer(model, engine="tensorflow").explain(image, method=method).heatmap.shape == (SIDE, 20)


def dense_only() -> keras.Model:
    images = keras.Input((SIDE, SIDE, 3))
    shrunk = keras.layers.AveragePooling2D(2)(images)
    return keras.Model(images, keras.layers.Dense(2)(keras.layers.Flatten()(shrunk)))


def any_size() -> keras.Model:
    images = keras.Input((None, None, 3))
    return keras.Model(images, keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(2, 3)(images)))


def maps_out() -> keras.Model:
    images = keras.Input((SIDE, SIDE, 3))
    return keras.Model(images, keras.layers.Conv2D(2, 3)(images))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (dense_only, "no convolutional layer"),
        (any_size, "fixed size"),
        (maps_out, r"one output \(N, C\)"),
        (lambda: keras.Sequential([keras.layers.Conv2D(2, 3)]), "once built"),
    ],
)
def test_models_of_another_form_are_refused(make: object, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        open_network(make())  # type: ignore[operator]
