"""The sums of a real classifier's features, and the model that their head gives."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from dermafed.shared.errors import DatasetError, ModelError
from dermafed.shared.model.classifier import build_classifier, logits_model, set_flat
from dermafed.shared.training.artefact_images import ArtefactImages
from dermafed.shared.training.exact_head.head_sums import HeadSums
from dermafed.shared.training.exact_head.ridge import LinearHead, ridge_head
from dermafed.shared.training.feature_store import FeatureStore
from tests.shared.training.tiny import lesions, plain, start, tiny, tiny_backbones, trainer


@pytest.fixture(scope="module", autouse=True)
def _tiny() -> Iterator[None]:
    with tiny_backbones():
        yield


def test_the_models_scores_are_those_of_the_head_on_its_features() -> None:
    model = tiny()
    data, weights = lesions(90, seed=1), start(model)
    sums = trainer(model, plain(), data, seed=1).head_sums(weights, 1)
    classifier = build_classifier(model)
    set_flat(classifier, weights)
    network = keras.Model(classifier.input, classifier.get_layer("logits").input)
    features = np.asarray(network(data.images.astype(np.float32), training=False))
    counts = np.bincount(data.labels, minlength=3)
    whole = HeadSums.of(features, data.labels, 90 / (3 * counts))
    assert sums.gram == pytest.approx(whole.gram, rel=1e-4, abs=1e-6)
    assert sums.counts.tolist() == counts.tolist()
    head = ridge_head(sums, 0.1)
    set_flat(classifier, head.into(weights).astype(np.float32))
    scores = np.asarray(logits_model(classifier)(data.images.astype(np.float32), training=False))
    assert scores == pytest.approx(head.scores(features), abs=1e-3)


def test_a_clinic_with_few_images_sends_no_sums() -> None:
    model = tiny()
    with pytest.raises(DatasetError, match="18 images are too few"):
        trainer(model, plain(), lesions(18, seed=1), seed=1).head_sums(start(model), 1)


def test_the_plan_says_how_many_images_a_clinic_needs() -> None:
    model, data = tiny(), lesions(60, seed=1)
    few = trainer(model, plain(head_images=60), data, seed=1)
    assert few.head_sums(start(model), 1).images == 60
    with pytest.raises(DatasetError, match=r"60 images are too few .* Give at least 61"):
        trainer(model, plain(head_images=61), data, seed=1).head_sums(start(model), 1)


def test_the_sums_of_block_statistics_have_two_numbers_a_channel() -> None:
    model = tiny(features="blocks")
    sums = trainer(model, plain(), lesions(60, seed=1), seed=1).head_sums(start(model), 1)
    assert sums.features == 2 * (4 + 4)


def test_the_slopes_are_those_of_the_models_features_which_are_computed_once() -> None:
    model, data = tiny(), lesions(60, seed=1)
    own, weights = trainer(model, plain(), data, seed=1), start(model)
    classifier = build_classifier(model)
    set_flat(classifier, weights)
    network = keras.Model(classifier.input, classifier.get_layer("logits").input)
    features = np.asarray(network(data.images.astype(np.float32), training=False), np.float64)
    for seed in (0, 1):
        random = np.random.default_rng(seed)
        head = LinearHead(random.normal(size=(features.shape[1], 3)), random.normal(size=3))
        scores = np.exp(features @ head.kernel + head.bias)
        chances = scores / scores.sum(axis=1, keepdims=True)  # 20 images of each class: each weighs 1
        found = own.head_slopes(weights, 1, head)
        wrong = chances - np.eye(3)[data.labels]
        assert found.slopes[:-1] == pytest.approx(features.T @ wrong, rel=1e-4, abs=1e-3)
        assert found.slopes[-1] == pytest.approx(wrong.sum(axis=0), rel=1e-4, abs=1e-3)
        assert found.loss == pytest.approx(-np.log(chances[np.arange(60), data.labels]).sum(), rel=1e-4)
    found.validate(own.head_sums(weights, 1).gram)
    other = own.head_slopes(start(model, seed=2), 1, head)
    assert other.loss != found.loss
    with pytest.raises(ModelError, match="other features or classes"):
        own.head_slopes(weights, 1, LinearHead(np.zeros((2, 3)), np.zeros(3)))


def test_where_artefacts_are_drawn_the_last_layer_sees_them() -> None:
    model, data = tiny(), lesions(60, seed=1)
    weights = start(model)
    with_some = plain(augment=True, artefacts=0.5)
    drawn = replace(data, images=ArtefactImages(data.images, 0.5, 7)[np.arange(60)])
    found = trainer(model, with_some, data).head_sums(weights, 1)
    expected = trainer(model, plain(), drawn).head_sums(weights, 1)
    np.testing.assert_array_equal(found.gram, expected.gram)
    assert not np.array_equal(found.gram, trainer(model, plain(), data).head_sums(weights, 1).gram)


def test_what_frozen_blocks_make_of_the_images_is_computed_once_for_all_trainers(tmp_path: Path) -> None:
    model, data, store = tiny(frozen_blocks=2), lesions(60, seed=1), FeatureStore(tmp_path)
    weights, with_views = start(model), plain(augment=True, views=1)
    found = [trainer(model, with_views, data, store=store).head_sums(weights, 1) for _ in range(2)]
    expected = trainer(model, plain(), data).head_sums(weights, 1)
    assert found[0].gram == pytest.approx(expected.gram, rel=1e-5, abs=1e-6)
    np.testing.assert_array_equal(found[1].gram, found[0].gram)
    assert len(list(tmp_path.glob("features/*.npy"))) == 1


def test_images_of_a_rare_class_are_left_out() -> None:
    model, data = tiny(), lesions(90, seed=1)
    labels = np.array([0] * 4 + [1] * 46 + [2] * 40)
    sums = trainer(model, plain(), replace(data, labels=labels), seed=1).head_sums(start(model), 1)
    assert sums.counts.tolist() == [0, 46, 40]
