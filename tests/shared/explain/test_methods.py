"""Grad-CAM, CAM and the other methods on networks small enough to work out."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from dermafed.shared.errors import ImageError, ModelError, SettingsError
from dermafed.shared.explain.cam import class_weights, grad_cam, grad_cam_plus_plus, gradient_weighted
from dermafed.shared.explain.explainer import Explainer
from dermafed.shared.explain.network import open_network
from tests.shared.explain.small_networks import CLASSES, METHODS, SIDE, small_classifier, small_image

A = np.array([[[1.0, -2.0], [3.0, 0.5]]], np.float32)  # (1, 2, 2): two cells of two channels
G = np.array([[[0.5, -1.0], [1.5, 3.0]]], np.float32)


@pytest.fixture(scope="module")
def explainer() -> Explainer:
    return Explainer(small_classifier(activation="relu"), engine="tensorflow")


def test_worked_example_of_grad_cam() -> None:
    # Means of the gradient: 1 and 1.
    assert grad_cam(A, G) == pytest.approx(np.array([[0, 3.5]]))


def test_the_papers_weight_is_rectified() -> None:
    assert gradient_weighted(A, -G) == pytest.approx(np.zeros((1, 2)))
    assert gradient_weighted(A, G * (1, -1)) == pytest.approx(np.array([[1, 3]]))


def test_worked_example_of_grad_cam_plus_plus() -> None:
    # Sums of A: 4 and -1.5. alpha = g^2 / (2 g^2 + sum g^3) = 1 / (2 + sum g).
    first = 0.5 / (2 + 4 * 0.5) + 1.5 / (2 + 4 * 1.5)
    second = 3 / (2 - 1.5 * 3)
    expected = np.maximum([first - 2 * second, 3 * first + 0.5 * second], 0)
    assert grad_cam_plus_plus(A, G) == pytest.approx(expected[None])


@pytest.mark.parametrize("target", range(CLASSES))
@pytest.mark.parametrize("against", [None, "next"])
def test_cam_and_grad_cam_are_one_where_a_linear_layer_follows_pooling(
    explainer: Explainer, target: int, against: str | None
) -> None:
    other = None if against is None else (target + 1) % CLASSES
    cam, grad = (
        explainer.explain(small_image(3), method=method, target=target, against=other)
        for method in ("cam", "gradcam")
    )
    assert cam.heatmap == pytest.approx(grad.heatmap, abs=1e-5)
    cells = np.prod(explainer.network.cells)
    assert cam.high == pytest.approx(cells * grad.high, rel=1e-4)


def test_a_logit_is_the_class_weights_times_the_pooled_maps() -> None:
    classifier = small_classifier()
    network = open_network(classifier)
    weights = class_weights(classifier, network)
    images = np.stack([small_image(seed) for seed in range(2)]).astype(np.float32)
    maps, logits, _ = (np.asarray(output) for output in network.model(images, training=False))
    explained = maps.mean((1, 2)) @ weights
    assert explained[0] - explained[1] == pytest.approx(logits[0] - logits[1], abs=1e-4)


def test_cam_is_refused_where_no_linear_layer_follows_pooling() -> None:
    images = keras.Input((SIDE, SIDE, 3))
    x = keras.layers.Conv2D(4, 3)(images)
    flat = keras.layers.Dense(CLASSES)(keras.layers.Flatten()(x))
    x = keras.layers.Dense(5, activation="relu")(keras.layers.GlobalAveragePooling2D()(x))
    deep = keras.layers.Dense(CLASSES)(x)
    for output in (flat, deep):
        explainer = Explainer(keras.Model(images, output), engine="tensorflow")
        with pytest.raises(ModelError, match="a linear layer follows"):
            explainer.explain(small_image(), method="cam")


@pytest.mark.parametrize("method", METHODS)
def test_every_method_gives_a_map_of_the_images_size(explainer: Explainer, method: str) -> None:
    image = small_image(5)
    found = explainer.explain(image, method=method)
    assert (found.heatmap.shape, found.heatmap.dtype) == ((SIDE, SIDE), np.float32)
    assert (found.heatmap.min(), found.heatmap.max()) == (0, 1)
    assert found.target.index == found.predicted == int(found.probabilities.argmax())
    assert np.array_equal(explainer.method(method)(image, found.predicted), found.heatmap)


@pytest.mark.parametrize("method", METHODS)
def test_an_image_of_one_colour_has_a_map_of_zeros(explainer: Explainer, method: str) -> None:
    found = explainer.explain(np.full((SIDE, SIDE, 3), (9, 80, 200), np.uint8), method=method)
    assert found.constant
    assert not found.heatmap.any()


def zero_network() -> keras.Model:
    """A network whose activations, and so maps, are constant; class 2 has probability 0."""
    images = keras.Input((SIDE, SIDE, 3))
    x = keras.layers.Conv2D(4, 3, kernel_initializer="zeros")(images)
    x = keras.layers.GlobalAveragePooling2D()(x)
    dense = keras.layers.Dense(CLASSES, activation="softmax")
    model = keras.Model(images, dense(x))
    dense.set_weights([np.ones((4, CLASSES)), np.array([0, 1, -2000])])
    return model


@pytest.mark.parametrize("target", [None, 2])
def test_a_network_of_constant_activations_has_maps_of_zeros(target: int | None) -> None:
    explainer = Explainer(zero_network(), engine="tensorflow")
    for method in METHODS:
        found = explainer.explain(small_image(), method=method, target=target)
        assert found.constant
        assert not found.heatmap.any()
    assert found.probabilities[2] == 0


@pytest.mark.parametrize("convention", ["default", "paper", "authors"])
def test_a_class_of_probability_zero_has_a_finite_map(convention: str) -> None:
    classifier = small_classifier()
    kernel, bias = classifier.get_layer("logits").get_weights()
    classifier.get_layer("logits").set_weights([kernel, bias - np.array([0, 500, 0])])
    explainer = Explainer(classifier, engine="tensorflow", convention=convention)
    found = explainer.explain(small_image(), target=1)
    assert found.probabilities[1] == 0
    assert np.isfinite(found.heatmap).all()
    assert found.constant == (convention == "authors")  # no probability, no weight


@pytest.mark.parametrize(
    ("image", "arguments", "error", "message"),
    [
        (small_image(), {"method": "gradcamm"}, SettingsError, "scorecam, scorecam-exact, gradcam"),
        (small_image(), {"target": 3}, SettingsError, "The classes are 0 to 2"),
        (small_image(), {"target": 1, "against": -1}, SettingsError, "no class -1"),
        (small_image(), {"target": 1, "against": 1}, SettingsError, "against itself"),
        (small_image(side=25), {}, ImageError, r"takes uint8 \(24, 24, 3\)"),
        (small_image() / 255, {}, ImageError, "float64"),
    ],
)
def test_images_and_classes_that_do_not_fit_are_refused(
    explainer: Explainer,
    image: NDArray[np.uint8],
    arguments: dict[str, object],
    error: type[Exception],
    message: str,
) -> None:
    with pytest.raises(error, match=message):
        explainer.explain(image, **arguments)  # type: ignore[arg-type]


def test_an_unknown_convention_is_refused() -> None:
    with pytest.raises(SettingsError, match="paper, authors, default"):
        Explainer(small_classifier(), convention="textbook")
