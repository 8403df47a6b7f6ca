"""A clinic's own last layer against scikit-learn, and what holds it near the federation's."""

from __future__ import annotations

from collections.abc import Iterator

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import log_softmax
from sklearn.linear_model import LogisticRegression

from dermafed.shared.model.classifier import build_classifier, set_flat
from dermafed.shared.training.clinic_head import ClinicHead
from dermafed.shared.training.exact_head.ridge import LinearHead
from dermafed.shared.training.own_layer import own_layer
from dermafed.shared.training.predict import loaded_classifier
from tests.shared.training.tiny import lesions, start, tiny, tiny_backbones

WEIGHTS = np.array([2.0, 0.5, 1.0])
NOTHING = LinearHead(np.zeros((4, 3)), np.zeros(3))


@pytest.fixture(scope="module", autouse=True)
def _tiny() -> Iterator[None]:
    with tiny_backbones():
        yield


def images(seed: int, number: int = 60) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Features of other scales and means, whose classes differ."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 3, number)
    return (random.normal(size=(number, 4)) + np.eye(3, 4)[labels]) * (1, 3, 0.2, 1) + (0, 5, 0, -2), labels


def layer(seed: int) -> LinearHead:
    random = np.random.default_rng(seed)
    return LinearHead(random.normal(size=(4, 3)), random.normal(size=3))


def test_from_nothing_it_is_scikit_learns_logistic_regression() -> None:
    """On standardised features, whose constant is penalised too."""
    features, labels = images(0)
    found = own_layer(features, labels, WEIGHTS, NOTHING, pull=5.0)
    inputs = np.c_[(features - features.mean(axis=0)) / features.std(axis=0), np.ones(60)]
    other = LogisticRegression(C=1 / 5, fit_intercept=False, tol=1e-10, max_iter=10_000)
    other.fit(inputs, labels, sample_weight=WEIGHTS[labels])
    assert np.exp(log_softmax(found.scores(features), axis=1)) == pytest.approx(
        other.predict_proba(inputs), abs=1e-4
    )


def test_a_strong_pull_leaves_the_federations_layer_and_a_weak_one_its_own_images() -> None:
    (features, labels), near = images(1), layer(1)
    held = own_layer(features, labels, WEIGHTS, near, pull=1e9)
    assert held.kernel == pytest.approx(near.kernel, abs=1e-5)
    assert held.bias == pytest.approx(near.bias, abs=1e-4)
    free = [own_layer(features, labels, WEIGHTS, one, pull=1e-3) for one in (near, NOTHING)]
    first, second = (log_softmax(one.scores(features), axis=1) for one in free)
    assert np.exp(first) == pytest.approx(np.exp(second), abs=0.02)


def test_without_images_it_is_the_federations() -> None:
    near = layer(2)
    assert own_layer(np.zeros((0, 4)), np.zeros(0, np.int64), WEIGHTS, near) is near


def test_a_feature_that_never_varies_keeps_its_weights() -> None:
    (features, labels), near = images(3), layer(3)
    features[:, 2] = 0.7
    found = own_layer(features, labels, WEIGHTS, near)
    assert (found.kernel[2] == near.kernel[2]).all()
    assert (found.kernel[0] != near.kernel[0]).all()


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), pull=st.floats(10, 5000), number=st.integers(2, 80))
def test_a_class_that_the_clinic_lacks_is_lowered_by_few_images_a_little(
    seed: int, pull: float, number: int
) -> None:
    """Every score of the mean image moves by the images' summed weight, divided by the pull, at most."""
    features, labels = images(seed, number)
    labels = np.minimum(labels, 1)
    near = layer(seed)
    found = own_layer(features, labels, WEIGHTS, near, pull=pull)
    mean = features.mean(axis=0, keepdims=True)
    moved = (found.scores(mean) - near.scores(mean))[0]
    most = WEIGHTS[labels].sum() / pull
    assert np.abs(moved).max() <= most * (1 + 1e-3) + 1e-6
    assert moved[2] <= 1e-9, "no image is of the class"


def test_a_clinics_model_differs_in_the_last_layer_alone() -> None:
    model, data = tiny(), lesions(60, seed=1)
    weights = start(model)
    own = ClinicHead(data, [20, 20, 20], 0, lambda given, _: loaded_classifier(model, given))
    found = own.with_own_layer(weights, 1)
    classifier = build_classifier(model)
    set_flat(classifier, weights)
    network = keras.Model(classifier.input, classifier.get_layer("logits").input)
    features = np.asarray(network(data.images.astype(np.float32), training=False))
    near = LinearHead.of(weights, 8, 3)
    assert near.into(weights).astype(np.float32).tobytes() == weights.tobytes()
    expected = own_layer(features, data.labels, np.ones(3), near)  # 20 images of each class
    assert found[-27:] == pytest.approx(expected.into(weights)[-27:], abs=1e-4)
    assert (found[:-27] == weights[:-27]).all()
    assert (found[-27:] != weights[-27:]).any()
