"""Whether the maps of an image depend on the class: told by every method, and right."""

from __future__ import annotations

from itertools import combinations, permutations

import keras
import numpy as np
import pytest

from dermafed.shared.explain.class_correlation import (
    LARGEST_CORRELATION,
    MOST_CLASSES,
    class_correlation,
    compared_classes,
)
from dermafed.shared.explain.explainer import Explainer
from dermafed.shared.explain.maps import map_agreement
from tests.shared.explain.small_networks import CLASSES, METHODS, SIDE, small_classifier, small_image

EVEN = np.full(3, 1 / 3, np.float32)
LEFT, MIDDLE, RIGHT = np.eye(3, dtype=np.float32)[:, None]


def of(*maps: np.ndarray) -> object:
    return lambda weights: np.tensordot(weights, np.stack(maps), 1)


def test_worked_example() -> None:
    """The map of 0 rather than 1 is 0's less 1's, and correlates by -1 with that of 1 rather than 0."""
    assert class_correlation(of(LEFT, RIGHT), EVEN[:2]) == pytest.approx(-1)  # type: ignore[arg-type]

    def rectified(weights: np.ndarray) -> np.ndarray:
        return np.maximum(np.tensordot(weights, np.stack([LEFT, LEFT + RIGHT]), 1), 0)

    # Maps: left; left and right; nothing; right. Left and right by themselves: -1/2.
    assert class_correlation(rectified, EVEN[:2]) == pytest.approx(-0.5)


def test_signed_maps_of_the_opposite_question_do_not_count() -> None:
    """0 rather than 1 is always the opposite of 1 rather than 0: the classes' own maps are one picture."""
    alike = of(LEFT, 2 * LEFT)
    assert class_correlation(alike, EVEN[:2], signed=True) == pytest.approx(1)  # type: ignore[arg-type]
    assert class_correlation(alike, EVEN[:2]) == pytest.approx(-1)  # type: ignore[arg-type]


def test_maps_that_differ_in_scale_alone_are_one_picture() -> None:
    def same(weights: np.ndarray) -> np.ndarray:
        return (2 + weights[0]) * LEFT + 5

    assert class_correlation(same, EVEN) == pytest.approx(1)
    assert class_correlation(lambda weights: np.zeros((4, 4), np.float32), EVEN) == 1
    assert class_correlation(lambda weights: weights[0] * LEFT, EVEN[:2]) == pytest.approx(-1)
    assert class_correlation(lambda weights: np.maximum(weights[0], 0) * LEFT, EVEN[:2]) == pytest.approx(0)


def test_one_class_has_nothing_to_compare() -> None:
    assert class_correlation(lambda weights: LEFT, np.ones(1, np.float32)) is None


def test_of_many_classes_the_most_probable_are_compared() -> None:
    probabilities = np.arange(20, dtype=np.float32)
    assert compared_classes(probabilities).tolist() == list(range(20 - MOST_CLASSES, 20))
    assert compared_classes(-probabilities[:3]).tolist() == [0, 1, 2]
    asked: list[np.ndarray] = []

    def count(weights: np.ndarray) -> np.ndarray:
        asked.append(weights)
        return LEFT

    class_correlation(count, probabilities)
    assert len(asked) == MOST_CLASSES + MOST_CLASSES * (MOST_CLASSES - 1)
    assert not np.stack(asked)[:, : 20 - MOST_CLASSES].any()


@pytest.fixture(scope="module")
def explainer() -> Explainer:
    return Explainer(small_classifier(activation="relu"), engine="tensorflow")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("seed", [3, 5])
def test_it_is_the_least_correlation_of_the_maps_themselves(
    explainer: Explainer, method: str, seed: int
) -> None:
    """By asking for every map that can be asked for, at the image's size."""
    image = small_image(seed)
    asked = [(index, None) for index in range(CLASSES)] + list(permutations(range(CLASSES), 2))
    maps = [
        explainer.explain(image, method=method, target=index, against=against).heatmap
        for index, against in asked
    ]
    expected = min(map_agreement(*pair) for pair in combinations(maps, 2))
    for target in range(CLASSES):
        found = explainer.explain(image, method=method, target=target)
        assert found.class_correlation == pytest.approx(expected, abs=0.02)
        assert found.depends_on_class == (found.class_correlation <= LARGEST_CORRELATION)


def classless() -> keras.Model:
    """A network whose maps are all alike, so that no weights make one class's map another's."""
    model = small_classifier(activation="relu")
    kernel, bias = model.get_layer("last").get_weights()
    model.get_layer("last").set_weights([np.repeat(kernel[..., :1], kernel.shape[-1], axis=-1), bias + 1])
    return model


@pytest.mark.parametrize("method", ["scorecam", "scorecam-exact"])
def test_a_network_of_one_map_does_not_depend_on_the_class(method: str) -> None:
    found = Explainer(classless(), engine="tensorflow").explain(small_image(3), method=method)
    assert not found.constant
    assert found.class_correlation == pytest.approx(1)
    assert found.depends_on_class is False


@pytest.mark.parametrize("seed", [0, 1, 3, 5])
def test_a_network_that_is_certain_has_maps_of_its_classes(seed: int) -> None:
    """The control: by every method, the maps of this network differ."""
    certain = Explainer(small_classifier(activation="relu", certainty=20), engine="tensorflow")
    for method in METHODS:
        assert certain.explain(small_image(seed), method=method).depends_on_class is True, method


def test_near_uniform_weights_of_score_cam_give_one_map(explainer: Explainer) -> None:
    """The same network, less certain: Grad-CAM's maps of its classes differ as before, Score-CAM's do not."""
    alike = {method: explainer.explain(small_image(3), method=method).depends_on_class for method in METHODS}
    assert [method for method, depends in alike.items() if not depends] == ["scorecam", "scorecam-exact"]


def test_an_image_of_one_colour_has_one_map_for_all_classes(explainer: Explainer) -> None:
    found = explainer.explain(np.full((SIDE, SIDE, 3), 90, np.uint8))
    assert (found.constant, found.depends_on_class) == (True, False)
