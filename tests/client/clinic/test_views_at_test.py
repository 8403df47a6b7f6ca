"""A model with views at test gives the mean of their logits by every way: one image, one answer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.special import softmax

from dermafed.client.clinic.diagnosis.diagnoser import Diagnoser
from dermafed.client.clinic.intake.clinical import Clinical
from dermafed.client.evaluation.evaluate import predict_finite
from dermafed.shared.explain.engine import best_engine
from dermafed.shared.explain.network import open_network
from dermafed.shared.imaging.pipeline import preprocess
from dermafed.shared.metrics.calibration.network_outputs import network_outputs
from dermafed.shared.training.data import LabelledImages
from tests.client.clinic.http.http_node import small_diagnoser
from tests.shared.explain.small_networks import small_image

VIEWS = 3


@pytest.fixture(scope="module")
def plain() -> Diagnoser:
    return small_diagnoser()


@pytest.fixture(scope="module")
def diagnoser(plain: Diagnoser) -> Diagnoser:
    model = plain.model
    card = replace(model.card, model=replace(model.card.model, views_at_test=VIEWS))
    return Diagnoser(replace(model, card=card))


@pytest.fixture(scope="module")
def images(plain: Diagnoser) -> np.ndarray:
    settings = plain.model.card.preprocess
    return np.stack([preprocess(small_image(seed, 90), settings, 1).image for seed in range(3)])


@pytest.fixture(scope="module")
def expected(plain: Diagnoser, images: np.ndarray) -> np.ndarray:
    """The logits of each image, of itself, left to right and top to bottom, and their mean."""
    views = [images, images[:, :, ::-1], images[:, ::-1]]
    flat = np.concatenate(views).copy()
    data = LabelledImages(flat, np.zeros(len(flat), np.int64))
    logits = network_outputs(plain.model.classifier, data).logits
    return logits.reshape(VIEWS, len(images), -1).mean(axis=0)


def test_an_image_that_is_diagnosed(plain: Diagnoser, diagnoser: Diagnoser, expected: np.ndarray) -> None:
    for seed, logits in enumerate(expected):
        image = small_image(seed, 90)
        found, alone = (one.predict(image, Clinical()) for one in (diagnoser, plain))
        np.testing.assert_allclose(found.logits, logits, rtol=0, atol=1e-4)
        assert np.abs(found.logits - alone.logits).max() > 1e-3
        np.testing.assert_array_equal(found.features, alone.features)
        np.testing.assert_array_equal(found.prepared, alone.prepared)


def test_a_data_set_that_is_evaluated(plain: Diagnoser, images: np.ndarray, expected: np.ndarray) -> None:
    data, done = LabelledImages(images, np.zeros(len(images), np.int64)), []
    found = predict_finite(plain.model.classifier, data, Path("none"), lambda *one: done.append(one), VIEWS)
    np.testing.assert_allclose(found, softmax(expected, axis=-1), rtol=0, atol=1e-4)
    assert done == [(3, 3)]


def test_validation_images_that_the_model_is_calibrated_with(
    plain: Diagnoser, images: np.ndarray, expected: np.ndarray
) -> None:
    data = LabelledImages(images, np.zeros(len(images), np.int64))
    outputs, alone = (network_outputs(plain.model.classifier, data, views=views) for views in (VIEWS, 1))
    np.testing.assert_allclose(outputs.logits, expected, rtol=0, atol=1e-4)
    np.testing.assert_array_equal(outputs.features, alone.features)


def test_a_calibration_sees_what_the_serving_node_will_see_to_the_last_bit(
    diagnoser: Diagnoser, images: np.ndarray
) -> None:
    pytest.importorskip("openvino")
    data, network = (
        LabelledImages(images, np.zeros(len(images), np.int64)),
        open_network(diagnoser.model.classifier),
    )
    outputs = network_outputs(network, data, views=VIEWS, engine=best_engine(network))
    served = [diagnoser.predict(small_image(seed, 90), Clinical()) for seed in range(len(images))]
    np.testing.assert_array_equal(outputs.logits, [one.logits for one in served])
    np.testing.assert_array_equal(outputs.features, [one.features for one in served])
