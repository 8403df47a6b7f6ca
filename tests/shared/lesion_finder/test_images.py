"""Sums and lesions of drawn images through a real network, and of real ones from pretrained weights."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from functools import reduce
from operator import add

import keras
import numpy as np
import pytest

from dermafed.shared.errors import ModelError
from dermafed.shared.imaging.decoding import read_image
from dermafed.shared.imaging.lesion_masks import usable_mask
from dermafed.shared.imaging.preprocess_settings import PreprocessSettings
from dermafed.shared.imaging.resize import resize
from dermafed.shared.lesion_finder.finder import LesionFinder
from dermafed.shared.lesion_finder.images import cell_shares, find_lesions, sum_up_images
from dermafed.shared.metrics.segmentation import ImageOverlap, segmentation_report
from dermafed.shared.model.cells import cell_model
from dermafed.shared.model.classifier import build_classifier, to_flat
from dermafed.shared.model.initial_weights import initial_classifier
from dermafed.shared.model.model_settings import ModelSettings
from dermafed.shared.model.weights_digest import weights_digest
from tests.paths import SHARED
from tests.shared.training.tiny import tiny_backbones

HAM = SHARED / "data" / "ham10000"
WEIGHTS = SHARED / "weights" / "efficientnetv2b0_notop.weights.h5"


@pytest.fixture(scope="module")
def classifier() -> Iterator[keras.Model]:
    with tiny_backbones():
        yield build_classifier(ModelSettings(("a", "b"), backbone="EfficientNetB5", image_size=64))


def drawn(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Dark discs on bright noise, and where they are."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:64, :64]
    centres, radii = rng.uniform(20, 44, (count, 2)), rng.uniform(8, 20, count)
    masks = np.array([np.hypot(x - cx, y - cy) < r for (cx, cy), r in zip(centres, radii, strict=True)])
    images = rng.uniform(150, 250, (count, 64, 64, 3)) - 120 * masks[..., None]
    return np.clip(images, 0, 255).astype(np.uint8), masks


def enlarged(shares: np.ndarray) -> np.ndarray:
    return shares.repeat(8, 0).repeat(8, 1)


def test_shares_of_cells_are_means_of_their_pixels() -> None:
    mask = np.zeros((16, 16), np.bool_)
    mask[:8, :12] = True
    np.testing.assert_array_equal(cell_shares(mask, 2), [[1, 0.5], [0, 0]])


def test_sums_are_those_of_all_cells_at_once(classifier: keras.Model) -> None:
    images, masks = drawn(20)  # more than a batch
    sums = sum_up_images(classifier, images, list(masks))
    cells = keras.ops.convert_to_numpy(cell_model(classifier).predict_on_batch(images.astype(np.float32)))
    rows = np.concatenate([cells, np.ones((20, 8, 8, 1))], axis=-1).reshape(20 * 64, -1)
    shares = masks.reshape(20, 8, 8, 8, 8).mean((2, 4)).ravel()
    np.testing.assert_allclose(sums.gram, rows.T @ rows, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(sums.targets, rows.T @ shares, rtol=1e-5, atol=1e-5)
    sums.validate()


def test_two_clinics_find_what_one_with_all_images_finds(classifier: keras.Model) -> None:
    images, masks = drawn(44)
    digest = weights_digest(to_flat(classifier))
    halves = [
        sum_up_images(classifier, images[side], list(masks[side])) for side in (slice(24), slice(24, 44))
    ]
    together = LesionFinder.of(reduce(add, halves), digest, 2)
    pooled = LesionFinder.of(sum_up_images(classifier, images, list(masks)), digest)
    found = list(find_lesions(classifier, together, images))
    for one, other in zip(found, find_lesions(classifier, pooled, images), strict=True):
        np.testing.assert_allclose(one.shares, other.shares, atol=1e-6)
    overlaps = [
        ImageOverlap.of(one.outline.region, enlarged(one.shares), mask)
        for one, mask in zip(found, masks, strict=True)
    ]
    assert (
        np.mean([each.dice for each in overlaps]) > 0.8
    )  # on its own images, of a network that never learned


def test_a_finder_of_another_network_is_refused(classifier: keras.Model) -> None:
    finder = LesionFinder("ab" * 32, np.zeros(5), 0.0, 30, 1)
    with pytest.raises(ModelError, match="5 features"):
        list(find_lesions(classifier, finder, drawn(1)[0]))


@pytest.mark.skipif(not (HAM.is_dir() and WEIGHTS.exists()), reason="the real images are not at hand")
def test_real_lesions_are_found_better_than_by_a_blob_in_the_middle() -> None:
    side, settings = 128, PreprocessSettings(image_size=128)
    with (HAM / "metadata.csv").open() as file:
        lesions = {row["lesion_id"]: row["image_id"] for row in csv.DictReader(file)}
    names = [name for _, name in sorted(lesions.items())][:: len(lesions) // 50][:50]
    photographs = [HAM / "images" / f"{name}.jpg" for name in names]
    images = np.stack([resize(read_image(path), side, settings.fit) for path in photographs])
    masks = [usable_mask(path, HAM / "masks" / f"{path.stem}.png", settings) for path in photographs]
    usable = [mask for mask in masks if mask is not None]
    assert len(usable) == 50
    model = ModelSettings(("a", "b"), image_size=side, backbone="EfficientNetV2B0")
    classifier, fitted = initial_classifier(model, str(WEIGHTS), seed=0), 36
    sums = sum_up_images(classifier, images[:fitted], usable[:fitted])
    sums.validate()
    found = list(find_lesions(classifier, LesionFinder.of(sums, "ab" * 32), images[fitted:]))
    y, x = np.mgrid[:side, :side] / side - 0.5
    blob = -np.hypot(x, y)
    pairs = list(zip(found, usable[fitted:], strict=True))
    ours = [ImageOverlap.of(one.outline.region, enlarged(one.shares), mask) for one, mask in pairs]
    middle = [ImageOverlap.of(one.outline.region, blob, mask) for one, mask in pairs]
    gained, null = (segmentation_report(each, names[fitted:], resamples=0) for each in (ours, middle))
    assert gained["dice"]["mean"] > 0.7
    assert gained["precision"]["mean"] > null["precision"]["mean"] + 0.08
    assert gained["precision_off_centre"]["mean"] > null["precision_off_centre"]["mean"] + 0.15
