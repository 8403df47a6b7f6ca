"""Additive evidence: worked out by hand, and its sums are the logits of small and of real networks."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from dermafed.shared.errors import ModelError
from dermafed.shared.explain.evidence import default_method, evidence_tensor
from dermafed.shared.explain.explainer import Explainer
from dermafed.shared.explain.methods import offered_methods
from dermafed.shared.model.classifier import build_classifier
from dermafed.shared.model.lesion_weights import finder_variables
from dermafed.shared.model.model_settings import Features, ModelSettings
from tests.shared.explain.additive_networks import (
    CLASSES,
    Weights,
    additive_classifier,
    headed,
    randomise_head,
)
from tests.shared.explain.small_networks import small_classifier, small_image

SIDE = 64


@pytest.fixture(scope="module")
def weighted() -> keras.Model:
    return additive_classifier()


def cells_and_logits(
    classifier: keras.Model, images: np.ndarray | list[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    both = keras.Model(classifier.input, [evidence_tensor(classifier), classifier.get_layer("logits").output])
    cells, logits = both.predict_on_batch(images)
    return np.asarray(cells), np.asarray(logits)


def logits_of_the_mean_image(classifier: keras.Model) -> np.ndarray:
    """What the last layers make of the moving means."""
    norm, dense = classifier.get_layer("head_norm"), classifier.get_layer("logits")
    means = np.asarray(norm.moving_mean)[None]
    normed = np.asarray(norm(means, training=False))
    return np.asarray(dense(np.pad(normed, ((0, 0), (0, dense.kernel.shape[0] - normed.shape[1])))))[0]


def by_hand(weighted: bool) -> keras.Model:
    """One logit of a channel's mean m and deviation d on 2 x 2 cells: 2 (m - 1) + 4 (d - 0.5)."""
    images = keras.Input((4, 4, 3))
    cells = keras.layers.AveragePooling2D(2, name="block3_pool")(images)
    weights = Weights(name="lesion_weights")(cells[..., 1:]) if weighted else None
    blocks = [
        keras.layers.AveragePooling2D(side, name=f"block{number}_pool")(cells)
        for number, side in ((4, 1), (5, 2), (6, 2))
    ]
    model = headed(images, blocks, weights, 2, classes=1)
    norm, dense = model.get_layer("head_norm"), model.get_layer("logits")
    means, kernel = np.zeros(18), np.zeros((18, 1))
    means[[0, 3]], kernel[[0, 3], 0] = (1, 0.5), (2, 4)
    norm.set_weights([np.ones(18), np.zeros(18), means, np.full(18, 1 - norm.epsilon)])
    dense.set_weights([kernel, np.array([7.0])])
    return model


def test_a_case_worked_out_by_hand() -> None:
    """Cells of 1, 3, 1, 3: m = 2, d = 1, e = p (2 (x - 1) + 4 ((x - 2)^2 - 0.5)), p (0 + 2) or p (4 + 2)."""
    image = np.zeros((1, 4, 4, 3), np.float32)
    image[..., 0] = np.repeat([[1, 3]], 2, axis=1)
    image[:, :2, :, 1] = 5  # the lesion: the upper two cells, where it has weights
    cells, logits = cells_and_logits(by_hand(weighted=False), image)
    assert cells[0, ..., 0] == pytest.approx(np.array([[0.5, 1.5], [0.5, 1.5]]), abs=1e-5)
    assert logits[0, 0] == pytest.approx(7 + 4, abs=1e-5)
    cells, logits = cells_and_logits(by_hand(weighted=True), image)
    assert cells[0, ..., 0] == pytest.approx(np.array([[1, 3], [0, 0]]), abs=1e-5)
    assert logits[0, 0] == pytest.approx(7 + 4, abs=1e-5)


def real_network(features: Features) -> keras.Model:
    settings = ModelSettings(("a", "b", "c"), image_size=SIDE, features=features, metadata=True)
    classifier = build_classifier(settings)
    randomise_head(classifier, 3)
    rng = np.random.default_rng(3)
    for finder in finder_variables(classifier):
        finder.assign(rng.normal(size=finder.shape))
    return classifier


@pytest.mark.parametrize("features", ["blocks", "lesion"])
def test_over_the_cells_the_sum_is_the_logit_less_that_of_the_mean_image(features: Features) -> None:
    """Of a real network. Unknown metadata are zeros, and make zeros of a layer without bias."""
    classifier = real_network(features)
    images = np.stack([small_image(seed, SIDE) for seed in range(2)]).astype(np.float32)
    unknown = np.zeros((2, *classifier.inputs[1].shape[1:]), np.float32)
    cells, logits = cells_and_logits(classifier, [images, unknown])
    assert cells.shape == (2, SIDE // 8, SIDE // 8, CLASSES)
    expected = logits - logits_of_the_mean_image(classifier)
    assert np.ptp(expected) > 1
    np.testing.assert_allclose(cells.sum((1, 2), dtype=np.float64), expected, rtol=0, atol=1e-4)


def test_the_engine_gives_the_same_sums_in_the_pass_that_predicts() -> None:
    classifier = additive_classifier(weighted=False)
    engine = Explainer(classifier).opened.evidence_engine
    assert engine.forward_beside is not None
    _, outputs, cells = engine.forward_beside(small_image(0, SIDE).astype(np.float32))
    expected = outputs.logits[0] - logits_of_the_mean_image(classifier)
    assert np.ptp(expected) > 0.01
    np.testing.assert_allclose(cells.sum((0, 1), dtype=np.float64), expected, rtol=0, atol=1e-4)


def test_a_map_is_signed_and_two_classes_differ_by_their_evidence(weighted: keras.Model) -> None:
    explainer, image = Explainer(weighted, engine="tensorflow"), small_image(4, SIDE)
    one, other, rather, reverse = (
        explainer.explain(image, target=target, against=against)
        for target, against in ((0, None), (1, None), (0, 1), (1, 0))
    )
    raw = [each.heatmap * max(each.high, -each.low) for each in (one, other, rather)]
    np.testing.assert_allclose(raw[0] - raw[1], raw[2], atol=1e-5 * np.abs(raw).max())
    for each in (one, other, rather):
        assert (each.method, each.signed, each.passes, each.agreement) == ("evidence", True, 0, None)
        assert np.abs(each.heatmap).max() == pytest.approx(1)
        assert np.sign(each.heatmap.min()) == np.sign(each.low)
    assert rather.heatmap.min() < 0 < rather.heatmap.max()
    np.testing.assert_allclose(reverse.heatmap, -rather.heatmap, atol=1e-6)
    assert one.depends_on_class is True


def test_the_model_decides_the_default(weighted: keras.Model) -> None:
    plain = additive_classifier(weighted=False)
    assert [default_method(each) for each in (weighted, plain, small_classifier())] == [
        "evidence",
        "scorecam",
        "scorecam",
    ]
    assert (offered_methods(weighted), offered_methods(plain)) == (("evidence", "scorecam"), ("scorecam",))
    found = Explainer(weighted, engine="tensorflow").explain(small_image(1, SIDE), method="scorecam")
    assert (found.method, found.signed, found.heatmap.min()) == ("scorecam", False, 0)


def test_other_features_are_refused() -> None:
    blocks = additive_classifier()
    last = keras.layers.GlobalAveragePooling2D()(blocks.get_layer("block6_conv").output)
    logits = keras.layers.Dense(2, name="logits")(keras.layers.BatchNormalization(name="head_norm")(last))
    pooled = keras.Model(blocks.input, keras.layers.Softmax()(logits))
    for classifier, side in ((pooled, SIDE), (small_classifier(), 24)):
        with pytest.raises(ModelError, match="statistics of its blocks"):
            Explainer(classifier, engine="tensorflow").explain(small_image(1, side), method="evidence")
