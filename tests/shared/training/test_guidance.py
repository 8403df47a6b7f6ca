"""Guided tuning: its term by hand, its slope by differences, masks that follow images, and what it does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from dermafed.shared.explain.evidence import evidence_tensor
from dermafed.shared.lesion_finder.images import cell_shares
from dermafed.shared.model.classifier import build_classifier, set_flat, to_flat, trainable_mask
from dermafed.shared.training.data import LabelledImages, batches
from dermafed.shared.training.feature_store import FeatureStore
from dermafed.shared.training.frozen_views import FrozenViews
from dermafed.shared.training.guidance import (
    GuidedCrossEntropy,
    beside_targets,
    guided_output,
    outside_share,
)
from dermafed.shared.training.loss import PriorAdjustedCrossEntropy, targets
from dermafed.shared.training.training_network import ProximalModel, shared_classifier
from tests.shared.explain.additive_networks import randomise_head
from tests.shared.training.tiny import plain, start, tiny, trainer

SIDE, GRID = 64, 8
SETTINGS = tiny(backbone="EfficientNetB5", features="blocks", image_size=SIDE)
FROZEN = replace(SETTINGS, frozen_blocks=2)
NO_PRIOR = np.zeros(3, np.float32)


def on_skin(images: int, seed: int = 0) -> LabelledImages:
    """Lesions off the middle and, in a far corner, marks: either tells the class, the marks more strongly."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(images) % 3)
    pixels = rng.integers(100, 140, (images, SIDE, SIDE, 3))
    masks = np.zeros((images, SIDE, SIDE), bool)
    for image, mask, label, at in zip(pixels, masks, labels, rng.integers(4, 16, images), strict=True):
        mask[at : at + 24, at : at + 24] = True
        image[mask, label] -= 60
        image[-20:, -20:, label] += 90
    shares = np.stack([cell_shares(mask, GRID) for mask in masks])
    return LabelledImages(pixels.astype(np.uint8), labels, lesions=shares)


def test_the_term_worked_out_by_hand() -> None:
    """Cells of 3, -1 and 2 logits, lesion 1, 1/2 and 0: in 3.5 / 1.5, out 2.5 / 1.5, the term 2.5 / 6."""
    evidence = np.array([[3, -1, 2]] * 3 + [[2, 2, -2]] * 2 + [[5, 0, 0], [0, 0, 0]], np.float32)
    lesion = [[1, 0.5, 0], [0, 0, 0], [1, 1, 1], [1, 0, 0], [1, 0.9, 0], [1, 0, 0], [1, 0, 0]]
    found = np.asarray(outside_share(evidence, np.array(lesion, np.float32)))
    # A mask without lesion and an image without skin tell nothing; an even map has 1/2 at any size.
    assert found == pytest.approx([2.5 / 6, 0, 0, 0.5, 0.5, 0, 0], abs=1e-6)


def test_the_loss_is_the_cross_entropy_and_the_guidance_times_the_term_of_the_own_class() -> None:
    """Two classes; two cells, of which the first is lesion: class 1's evidence there is 1, outside 3."""
    prior = np.log([0.25, 0.75]).astype(np.float32)
    y = beside_targets(targets(np.array([1]), prior, 0.2), np.array([[[1, 0]]], np.float32))
    predicted = np.array([[0.5, -1.5, 9, 1, 7, 3]], np.float32)
    plain_loss = PriorAdjustedCrossEntropy(2.0)
    expected = float(plain_loss(y[:, :4], predicted[:, :2])) + 0.3 * 3 / 4
    assert float(GuidedCrossEntropy(plain_loss, 2, 0.3)(y, predicted)) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("training", [True, False])
def test_the_evidence_of_a_step_adds_up_to_its_logits(training: bool) -> None:
    """Less those of the mean image: in training the batch's, of which batch normalisation makes beta."""
    classifier = build_classifier(SETTINGS)
    randomise_head(classifier, 1)
    both = keras.Model(classifier.input, guided_output(classifier))
    made = np.asarray(both(on_skin(6).images.astype(np.float32), training=training))
    constant = made[:, :3] - made[:, 3:].reshape(6, GRID * GRID, 3).sum(axis=1)
    norm, dense = classifier.get_layer("head_norm"), classifier.get_layer("logits")
    expected = np.asarray(norm.beta) @ np.asarray(dense.kernel) + np.asarray(dense.bias)
    assert np.ptp(made[:, :3]) > 0.1
    np.testing.assert_allclose(constant, np.tile(expected, (6, 1)), rtol=0, atol=1e-4)


def test_a_step_follows_the_slope_that_differences_give() -> None:
    """The step of plain gradient descent against central differences along it, by the batch's statistics."""
    data, rate, delta = on_skin(6), 1e-3, 2e-3
    classifier = build_classifier(SETTINGS)
    model = ProximalModel(classifier, 0.0, guided=True)
    loss = GuidedCrossEntropy(PriorAdjustedCrossEntropy(), 3, 10.0)
    model.compile(keras.optimizers.SGD(rate), loss, run_eagerly=True)
    assert data.lesions is not None
    y = beside_targets(targets(data.labels, NO_PRIOR), data.lesions)
    randomise_head(classifier, 1)
    weights = to_flat(classifier)

    def step_from(at: np.ndarray) -> tuple[float, np.ndarray]:
        set_flat(classifier, at)
        found = float(model.train_on_batch(data.images.astype(np.float32), y))
        return found, (to_flat(classifier) - at) * trainable_mask(classifier)

    _, step = step_from(weights)
    length = np.linalg.norm(step)
    along = step / length
    ahead, behind = (step_from(weights + sign * delta * along)[0] for sign in (1, -1))
    assert (behind - ahead) / (2 * delta) == pytest.approx(length / rate, rel=0.02)


def test_masks_follow_their_images_and_change_none_of_them() -> None:
    """Of a view, the lesion is where its pixels are: bright ones of an image that is black elsewhere."""
    data = on_skin(5)
    assert data.lesions is not None
    bright = np.repeat(np.kron(data.lesions > 0.5, np.ones((8, 8))), 3).reshape(5, SIDE, SIDE, 3)
    data = replace(data, images=(200 * bright).astype(np.uint8), lesions=(data.lesions > 0.5).astype("f4"))
    views = FrozenViews(data, 2, 7, False, FeatureStore(Path("unused")))
    of_views = [np.stack([views.view(number, one) for one in range(5)]) for number in (0, 1)]
    views._of = lambda front: of_views  # type: ignore[method-assign]
    drawn = list(batches(data, 2, range(5), seed=7, augmented=True))
    for batch in (*drawn, *views.batches(None, 2, range(5))):  # type: ignore[arg-type]
        pixels = np.asarray(batch.inputs)[..., 0] / max(1, np.max(batch.inputs))
        seen = np.stack([cell_shares(one > 0.3, GRID) for one in pixels])
        assert batch.lesions is not None
        assert np.abs(seen - batch.lesions).mean() < 0.05 < np.abs(seen - batch.lesions[::-1]).mean()
    without = batches(replace(data, lesions=None), 2, range(5), seed=7, augmented=True)
    for batch, other in zip(drawn, without, strict=True):
        np.testing.assert_array_equal(np.asarray(batch.inputs), np.asarray(other.inputs))


def test_a_clinic_without_masks_trains_as_without_guidance() -> None:
    data, weights = replace(on_skin(6), lesions=None), start(SETTINGS)
    ends = [
        trainer(SETTINGS, plain(guidance=guidance), data).train(weights, 1, {}) for guidance in (0.0, 1.0)
    ]
    np.testing.assert_array_equal(ends[0].weights, ends[1].weights)
    assert ends[0].metrics == ends[1].metrics


def test_guided_training_moves_evidence_into_the_lesion(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On saved features of frozen blocks. Without guidance it lies on the marks; with it, hardly any does."""
    monkeypatch.setenv("DERMAFED_CACHE", str(tmp_path))
    data, weights = on_skin(24), start(FROZEN)
    how = plain(epochs=20, augment=True, views=2, learning_rate=0.01)
    without, guided = (
        energy_inside(
            trainer(FROZEN, replace(how, guidance=guidance), data).train(weights, 1, {}).weights, data
        )
        for guidance in (0.0, 5.0)
    )
    assert guided > 1.5 * without


def energy_inside(weights: np.ndarray, data: LabelledImages) -> float:
    """The mean share of the own class's energy that lies in the lesion, of images as they are."""
    assert data.lesions is not None
    classifier = shared_classifier(FROZEN)
    set_flat(classifier, weights)
    network = keras.Model(classifier.input, evidence_tensor(classifier))
    cells = np.abs(np.asarray(network.predict_on_batch(data.images.astype(np.float32))))
    own = cells[np.arange(len(data)), ..., data.labels]
    return float(np.mean((own * data.lesions).sum((1, 2)) / own.sum((1, 2))))
