"""Statistics of the lesion, by NumPy from the maps; rounds train the model as if all cells counted alike."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from dermafed.shared.imaging.preprocess_settings import PreprocessSettings
from dermafed.shared.lesion_finder.finder import LesionFinder
from dermafed.shared.lesion_finder.images import sum_up_images
from dermafed.shared.model.blocks import maps_of_blocks
from dermafed.shared.model.cells import bilinear_matrix, cell_model
from dermafed.shared.model.classifier import build_classifier, set_flat, to_flat, trainable_mask
from dermafed.shared.model.image_features import features_network
from dermafed.shared.model.lesion_weights import LAYER, SHARPNESS, finder_size
from dermafed.shared.model.model_file import load_model, save_model
from dermafed.shared.model.model_info import ModelInfo
from dermafed.shared.model.model_settings import ModelSettings
from dermafed.shared.training.data import LabelledImages
from dermafed.shared.training.feature_store import FeatureStore
from dermafed.shared.training.predict import loaded_classifier
from tests.shared.lesion_finder.test_images import drawn
from tests.shared.training.tiny import plain, tiny_backbones, trainer

LESION = ModelSettings(("a", "b", "c"), image_size=64, features="lesion", frozen_blocks=4)
BLOCKS = replace(LESION, features="blocks")
IMAGES, MASKS = drawn(24)


@pytest.fixture(scope="module")
def blocks() -> keras.Model:
    return build_classifier(BLOCKS)


@pytest.fixture(scope="module")
def finder(blocks: keras.Model) -> LesionFinder:
    return LesionFinder.of(sum_up_images(blocks, IMAGES, list(MASKS)), "ab" * 32)


@pytest.fixture(scope="module")
def lesion(blocks: keras.Model, finder: LesionFinder) -> keras.Model:
    model = build_classifier(LESION)
    set_flat(model, np.concatenate([finder.flat(), to_flat(blocks)]))
    return model


def statistics(model: keras.Model, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of the last three blocks, weights (N, G, G) of the cells brought to each block's places."""
    maps, parts = maps_of_blocks(model), []
    for block in sorted(maps)[-3:]:
        values = np.asarray(keras.Model(model.input, maps[block])(IMAGES.astype(np.float32)), np.float64)
        spread = bilinear_matrix(values.shape[1], weights.shape[1])
        own = np.einsum("gi,ngh,hj->nij", spread, weights, spread)[..., None]
        mean = (own * values).sum((1, 2))
        second = (own * values**2).sum((1, 2))
        parts += [mean, np.sqrt(np.maximum(second - mean**2, 0) + 1e-8)]
    return np.concatenate(parts, axis=1)


def read_by_last_layer(model: keras.Model) -> NDArray[np.float32]:
    network = keras.Model(model.input, model.get_layer("statistics_of_blocks").output)
    return np.asarray(network(IMAGES.astype(np.float32)))


def test_a_cell_counts_by_the_share_of_it_that_is_lesion(
    lesion: keras.Model, blocks: keras.Model, finder: LesionFinder
) -> None:
    shares = finder.find(np.asarray(cell_model(blocks)(IMAGES.astype(np.float32)))).astype(np.float64)
    expected = np.exp(SHARPNESS * shares)
    expected /= expected.sum((1, 2), keepdims=True)
    found = np.asarray(keras.Model(lesion.input, lesion.get_layer(LAYER).output)(IMAGES.astype(np.float32)))
    np.testing.assert_allclose(found, expected, rtol=2e-3)
    assert expected.max() > 100 * expected.min()
    np.testing.assert_allclose(read_by_last_layer(lesion), statistics(blocks, expected), rtol=5e-3, atol=5e-4)
    cells = found.reshape(len(found), -1)
    inside = [own[mask].sum() for own, mask in zip(cells, MASKS[:, 4::8, 4::8].reshape(24, -1), strict=True)]
    assert np.mean(inside) > 0.9


def test_without_a_finder_all_cells_count_alike(blocks: keras.Model) -> None:
    model = build_classifier(LESION)
    nothing = np.zeros(finder_size(blocks), np.float32)
    assert (to_flat(model)[: nothing.size] == 0).all()
    set_flat(model, np.concatenate([nothing, to_flat(blocks)]))
    np.testing.assert_allclose(read_by_last_layer(model), read_by_last_layer(blocks), rtol=2e-3, atol=5e-4)


@pytest.fixture
def small() -> Iterator[ModelSettings]:
    """Six blocks in the place of EfficientNetB0."""
    with tiny_backbones():
        yield replace(LESION, backbone="EfficientNetB5")


def with_any_finder(settings: ModelSettings) -> tuple[keras.Model, int]:
    """A classifier of random weights, and the number of its finder's."""
    model = build_classifier(settings)
    size = finder_size(model)
    noise = np.random.default_rng(4).normal(size=size).astype(np.float32)
    set_flat(model, np.concatenate([noise, to_flat(model)[size:]]))
    return model, size


def test_no_gradient_trains_the_finder_and_it_is_saved(small: ModelSettings, tmp_path: Path) -> None:
    lesion, size = with_any_finder(small)
    weights = to_flat(lesion)
    assert weights[:size].any()
    assert not trainable_mask(lesion)[:size].any()
    info = ModelInfo(small, PreprocessSettings(image_size=64), origin="none", round=1)
    save_model(tmp_path / "model.keras", weights, info)
    model, found = load_model(tmp_path / "model.keras")
    assert found.model.features == "lesion"
    assert (to_flat(model) == weights).all()
    pixels = IMAGES.astype(np.float32)
    np.testing.assert_allclose(np.asarray(model(pixels)), np.asarray(lesion(pixels)), atol=1e-6)


def test_a_round_trains_as_with_all_cells_alike(tmp_path: Path) -> None:
    data = LabelledImages(IMAGES[:8], np.arange(8) % 3)
    with tiny_backbones():
        few, all_alike = (replace(settings, backbone="EfficientNetB5") for settings in (LESION, BLOCKS))
        blocks = build_classifier(all_alike)
        size, start = finder_size(blocks), to_flat(blocks)
        ours, theirs = (
            trainer(settings, plain(augment=True, views=1), data, store=FeatureStore(tmp_path))
            for settings in (few, all_alike)
        )
        first = np.concatenate([np.zeros(size, np.float32), start])
        found = ours.train(first, 1, {}).weights
        assert not found[:size].any()
        assert (found[size:] == theirs.train(start, 1, {}).weights).all()
        assert (found[size:] != start).any()
        np.testing.assert_array_equal(
            ours.evaluate(first, 1).histograms, theirs.evaluate(start, 1).histograms
        )


def test_a_finder_in_the_weights_changes_what_the_last_layer_reads(small: ModelSettings) -> None:
    lesion, _ = with_any_finder(small)
    classifier = loaded_classifier(small, to_flat(lesion))
    found, expected = (
        np.asarray(features_network(each)(IMAGES[:4].astype(np.float32))) for each in (classifier, lesion)
    )
    np.testing.assert_allclose(found, expected, atol=1e-4)
