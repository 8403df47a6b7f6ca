from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dermafed.shared.metrics.evaluation import ClinicEvaluation
from dermafed.shared.model.classifier import set_flat
from dermafed.shared.training.data import LabelledImages
from dermafed.shared.training.predict import FrozenFeatures, apply_classifier, apply_in_batches, predict
from dermafed.shared.training.training_network import shared_classifier
from tests.shared.training.tiny import lesions, plain, start, tiny, trainer


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of an image at the entrance of each pass, of whole predictions too."""
    seen: list[int] = []

    def counted(network, images, metadata=None):  # type: ignore[no-untyped-def]
        seen.append(int(np.prod(images.shape[1:])))
        return apply_in_batches(network, images, metadata)

    monkeypatch.setattr("dermafed.shared.training.predict.apply_in_batches", counted)
    return seen


IMAGE, FEATURES = 32 * 32 * 3, 8 * 8 * 4
WHOLE = IMAGE


def test_frozen_blocks_are_applied_once_in_a_training(passes: list[int]) -> None:
    settings = tiny(frozen_blocks=2)
    clinic = trainer(settings, plain(), lesions(15), rounds=2)
    weights = start(settings)
    for round in (1, 2):
        weights = clinic.train(weights, round, {}).weights
        whole = ClinicEvaluation.from_predictions(
            clinic.validation.labels, predict(settings, weights, clinic.validation)
        )
        assert clinic.evaluate(weights, round).loss_sum == pytest.approx(whole.loss_sum)
    assert passes == [WHOLE, IMAGE, FEATURES, WHOLE, FEATURES]


def test_other_frozen_weights_give_other_features(passes: list[int]) -> None:
    settings, data = tiny(frozen_blocks=2), lesions(6)
    features = FrozenFeatures(2, data)
    for seed in (1, 2):
        weights = start(settings, seed)
        expected = predict(settings, weights, data)
        assert np.allclose(features.predict(shared_classifier(settings)), expected, atol=1e-6)
    assert passes == 2 * [WHOLE, IMAGE, FEATURES]


def test_a_classifier_that_was_built_anew_gives_other_features() -> None:
    """A process caches two classifiers; a third one drops the oldest."""
    settings, data = tiny(frozen_blocks=2), lesions(6)
    features = FrozenFeatures(2, data)
    set_flat(shared_classifier(settings), start(settings))
    features.predict(shared_classifier(settings))
    for other in (tiny(dropout=0.1), tiny(dropout=0.2)):
        shared_classifier(other)
    weights = start(settings, 2)
    expected = predict(settings, weights, data)
    assert np.allclose(features.predict(shared_classifier(settings)), expected, atol=1e-6)


@pytest.mark.parametrize("frozen_blocks", [0, 7])
def test_metadata_and_any_number_of_blocks(frozen_blocks: int) -> None:
    settings = tiny(frozen_blocks=frozen_blocks, metadata=True)
    model = shared_classifier(settings)
    size = model.inputs[1].shape[1]
    clinical = np.random.default_rng(0).normal(size=(20, size)).astype(np.float32)
    data = replace(lesions(20), metadata=clinical)
    set_flat(model, start(settings))
    found = FrozenFeatures(frozen_blocks, data).predict(model)
    assert np.allclose(found, apply_classifier(model, data), atol=1e-6)


def test_features_that_would_take_more_memory_than_the_images_are_not_cached(passes: list[int]) -> None:
    """Block 1 ends in 4 channels of half the side: 4 bytes a pixel against 3."""
    data = LabelledImages(lesions(3).images, np.arange(3))
    for frozen_blocks in (1, 4):
        settings = tiny(backbone="EfficientNetB5", frozen_blocks=frozen_blocks)
        model = shared_classifier(settings)
        found = FrozenFeatures(frozen_blocks, data).predict(model)
        assert np.allclose(found, apply_classifier(model, data), atol=1e-6)
    assert passes == [WHOLE, WHOLE, IMAGE, 2 * 2 * 4, WHOLE]


def test_views_at_test_have_the_mean_logits_with_frozen_blocks_or_without() -> None:
    settings, data = tiny(frozen_blocks=2, views_at_test=4), lesions(6)
    weights = start(settings)
    views = [data.images[:, ::up, ::left] for up, left in ((1, 1), (1, -1), (-1, 1), (-1, -1))]
    alone = [predict(tiny(frozen_blocks=2), weights, replace(data, images=one.copy())) for one in views]
    logs = np.mean(np.log(alone), axis=0)
    expected = np.exp(logs) / np.exp(logs).sum(axis=1, keepdims=True)
    assert np.abs(expected - alone[0]).max() > 1e-4
    np.testing.assert_allclose(predict(settings, weights, data), expected, rtol=0, atol=1e-6)
    classifier = shared_classifier(settings)
    set_flat(classifier, weights)
    found = FrozenFeatures(2, data, views=4).predict(classifier)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


def test_a_clinic_evaluates_with_the_views() -> None:
    settings, data = tiny(frozen_blocks=2, views_at_test=3), lesions(15)
    weights = start(settings)
    found = trainer(settings, plain(), data).evaluate(weights, 1)
    whole = ClinicEvaluation.from_predictions(data.labels, predict(settings, weights, data))
    assert found.loss_sum == pytest.approx(whole.loss_sum)
    assert found.loss_sum != trainer(tiny(frozen_blocks=2), plain(), data).evaluate(weights, 1).loss_sum
