"""What the last layer reads of an image."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from dermafed.shared.explain.explainer import Explainer
from dermafed.shared.explain.methods import METHODS
from dermafed.shared.imaging.preprocess_settings import PreprocessSettings
from dermafed.shared.model.classifier import build_classifier, set_flat, to_flat
from dermafed.shared.model.image_features import last_cut
from dermafed.shared.model.initial_weights import initial_classifier
from dermafed.shared.model.model_file import load_model, save_model
from dermafed.shared.model.model_info import ModelInfo
from dermafed.shared.model.model_settings import ModelSettings
from dermafed.shared.training.data import LabelledImages
from dermafed.shared.training.predict import FrozenFeatures, predict
from dermafed.shared.training.training_network import shared_classifier
from tests.shared.model.real_weights import CLASSES, IMAGES, weights_file
from tests.shared.training.tiny import lesions, plain, start, tiny, tiny_backbones, trainer

BLOCKS = tiny(features="blocks")
V2_B0 = ModelSettings(CLASSES, backbone="EfficientNetV2B0", image_size=32, features="blocks")


@pytest.fixture
def _tiny() -> Iterator[None]:
    with tiny_backbones():
        yield


def features_of(model: keras.Model) -> np.ndarray:  # type: ignore[type-arg]
    return np.asarray(keras.Model(model.input, model.get_layer("head_norm").input)(IMAGES))


def test_block_statistics_of_v2_b0_are_800_numbers() -> None:
    """By NumPy, from the maps of the layers that the paper's tables end the blocks with."""
    model = build_classifier(V2_B0)
    assert last_cut(model) == 4
    assert "top_conv" not in {layer.name for layer in model.layers}
    ends = [model.get_layer(name).output for name in ("block4c_add", "block5e_add", "block6h_add")]
    maps = [np.asarray(each, np.float64) for each in keras.Model(model.input, ends)(IMAGES)]
    expected = [part for each in maps for part in (each.mean((1, 2)), each.std((1, 2)))]
    found = features_of(model)
    assert found == pytest.approx(np.concatenate(expected, axis=1), rel=1e-3, abs=2e-4)
    assert found.shape == (2, 800)


def test_a_block_that_adds_nothing_ends_in_its_normalisation() -> None:
    model = build_classifier(ModelSettings(CLASSES, image_size=32, features="blocks"))
    last = np.asarray(keras.Model(model.input, model.get_layer("block7a_project_bn").output)(IMAGES))
    found = features_of(model)
    assert found.shape == (2, 2 * (112 + 192 + 320))
    assert found[:, 2 * (112 + 192) :][:, :320] == pytest.approx(last.mean((1, 2)), abs=1e-5)


def test_pretrained_weights_fit_without_the_layers_after_the_last_block() -> None:
    path = weights_file("efficientnetv2b0")
    kinds = (V2_B0, replace(V2_B0, features="pooled"))
    blocks, whole = (initial_classifier(each, str(path), seed=0) for each in kinds)
    name = "block6h_project_conv"
    assert blocks.get_layer(name).get_weights()[0] == pytest.approx(whole.get_layer(name).get_weights()[0])


@pytest.mark.usefixtures("_tiny")
def test_such_a_model_is_saved_and_loaded(tmp_path: Path) -> None:
    info = ModelInfo(BLOCKS, PreprocessSettings(image_size=32), origin="none", round=1)
    save_model(tmp_path / "model.keras", start(BLOCKS), info)
    model, found = load_model(tmp_path / "model.keras")
    original = build_classifier(BLOCKS)
    set_flat(original, start(BLOCKS))
    assert found == info
    assert found.model.features == "blocks"
    assert (to_flat(model) == start(BLOCKS)).all()
    assert np.asarray(model(IMAGES)) == pytest.approx(np.asarray(original(IMAGES)), abs=1e-6)


@pytest.mark.usefixtures("_tiny")
@pytest.mark.parametrize("method", [name for name in METHODS if name not in ("cam", "evidence")])
def test_such_a_model_is_explained(method: str) -> None:
    classifier = build_classifier(BLOCKS)
    set_flat(classifier, start(BLOCKS))
    found = Explainer(classifier, engine="tensorflow").explain(
        IMAGES[0].astype(np.uint8), method=method, target=0
    )
    assert np.isfinite(found.heatmap).all()
    assert found.heatmap.max() > found.heatmap.min()


@pytest.mark.usefixtures("_tiny")
def test_frozen_blocks_are_cut_where_nothing_later_is_read() -> None:
    settings = replace(V2_B0, backbone="EfficientNetB5", frozen_blocks=5)  # of as many blocks
    data = LabelledImages(IMAGES.astype(np.uint8), np.zeros(2, np.int64))
    weights = to_flat(build_classifier(settings))
    expected = predict(settings, weights, data)
    found = FrozenFeatures(5, data).predict(shared_classifier(settings))
    assert found == pytest.approx(expected, abs=1e-6)
    assert last_cut(shared_classifier(settings)) == 4


@pytest.mark.usefixtures("_tiny")
def test_such_a_model_is_trained_also_on_images_of_one_colour() -> None:
    """Whose maps are constant but at the border: the deviation's slope stays finite."""
    data = lesions(12)
    data.images[:] = 128
    update = trainer(BLOCKS, plain(), data).train(start(BLOCKS), 1, {})
    assert np.isfinite(update.weights).all()
    assert (update.weights != start(BLOCKS)).any()
