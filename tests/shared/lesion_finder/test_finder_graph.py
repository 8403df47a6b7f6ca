"""The finder within the network gives what the finder gives of the network's cells."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from dermafed.shared.errors import ModelError
from dermafed.shared.explain.explainer import Explainer
from dermafed.shared.lesion_finder.finder import LesionFinder
from dermafed.shared.lesion_finder.finder_graph import shares_tensor
from dermafed.shared.lesion_finder.images import sum_up_images
from dermafed.shared.model.cells import cell_model
from dermafed.shared.model.classifier import build_classifier
from dermafed.shared.model.model_settings import ModelSettings
from tests.shared.lesion_finder.test_images import drawn
from tests.shared.training.tiny import tiny_backbones

IMAGES = drawn(3)[0].astype(np.float32)


@pytest.fixture(scope="module")
def classifier() -> keras.Model:
    return build_classifier(ModelSettings(("a", "b", "c"), image_size=64))


@pytest.fixture(scope="module")
def finder(classifier: keras.Model) -> LesionFinder:
    images, masks = drawn(24)
    return LesionFinder.of(sum_up_images(classifier, images, list(masks)), "ab" * 32)


@pytest.fixture(scope="module")
def plain(classifier: keras.Model) -> Explainer:
    return Explainer(classifier, engine="tensorflow")


@pytest.fixture(scope="module")
def shares(classifier: keras.Model, finder: LesionFinder) -> np.ndarray:
    """Of each drawn image, (3, G, G)."""
    cells = cell_model(classifier)
    return np.stack([finder.find(np.asarray(cells(image[None])))[0] for image in IMAGES])


@pytest.mark.parametrize("engine", ["tensorflow", "openvino"])
def test_one_pass_gives_the_shares_and_the_scores(
    classifier: keras.Model, finder: LesionFinder, plain: Explainer, shares: np.ndarray, engine: str
) -> None:
    pytest.importorskip(engine)
    ours = Explainer(classifier, engine=engine, beside=shares_tensor(classifier, finder)).opened.engine
    assert ours.forward_beside is not None
    assert plain.opened.engine.forward_beside is None
    for image, expected in zip(IMAGES, shares, strict=True):
        assert expected.max() - expected.min() > 0.3
        maps, outputs, found = ours.forward_beside(image)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)
        their_maps, theirs = plain.opened.engine.forward(image)
        np.testing.assert_allclose(maps, their_maps, rtol=0, atol=1e-3)
        np.testing.assert_allclose(outputs.probabilities, theirs.probabilities, rtol=0, atol=1e-5)
        assert len(ours.forward(image)) == 2


def test_a_finder_of_another_network_is_refused(classifier: keras.Model) -> None:
    with pytest.raises(ModelError, match="another network"):
        shares_tensor(classifier, LesionFinder("ab" * 32, np.zeros(5), 0.0, 30, 1))
    plain = keras.Sequential([keras.Input((64, 64, 3)), keras.layers.Conv2D(4, 3)])
    with pytest.raises(ModelError, match="another network"):
        shares_tensor(plain, LesionFinder("ab" * 32, np.zeros(966), 0.0, 30, 1))


def test_a_network_that_takes_metadata_too_has_the_same_shares() -> None:
    images, masks = drawn(24)
    with tiny_backbones():
        settings = ModelSettings(("a", "b"), backbone="EfficientNetB5", image_size=64, metadata=True)
        classifier = build_classifier(settings)
    finder = LesionFinder.of(sum_up_images(classifier, images, list(masks)), "ab" * 32)
    beside = shares_tensor(classifier, finder)
    engine = Explainer(classifier, engine="tensorflow", beside=beside).opened.engine
    assert engine.forward_beside is not None
    image = images[0].astype(np.float32)
    expected = finder.find(np.asarray(cell_model(classifier)(image[None])))[0]
    np.testing.assert_allclose(engine.forward_beside(image)[2], expected, rtol=0, atol=1e-4)
