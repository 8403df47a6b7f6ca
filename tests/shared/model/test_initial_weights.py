from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from dermafed.shared.errors import ModelError, SettingsError
from dermafed.shared.model.classifier import normalise_like_imagenet, to_flat
from dermafed.shared.model.initial_weights import _copy_backbone, _is_keras_file, initial_classifier
from dermafed.shared.model.model_info import weights_origin
from dermafed.shared.model.model_settings import ModelSettings
from tests.shared.model.real_weights import CLASSES, IMAGES, weights_file
from tests.shared.training.tiny import tiny, tiny_backbones

GET_FILE = "keras.src.utils.file_utils.get_file"


def settings(backbone: str = "EfficientNetB0") -> ModelSettings:
    return ModelSettings(CLASSES, backbone=backbone, image_size=32)


def features(model: keras.Model, layer: str = "top_activation") -> np.ndarray:
    """(N, H, W, C) of a layer of our classifier or of Keras' network, by default of the last convolution."""
    network = keras.Model(model.input, model.get_layer(layer).output)
    return np.asarray(keras.ops.convert_to_numpy(network(IMAGES)))


@pytest.mark.parametrize("backbone", ["EfficientNetB0", "EfficientNetV2B0"])
def test_a_file_gives_the_features_of_keras_own_network(backbone: str) -> None:
    path = weights_file(backbone.lower())
    theirs = getattr(keras.applications, backbone)(
        include_top=False, weights=str(path), input_shape=(32, 32, 3)
    )
    ours = features(initial_classifier(settings(backbone), str(path), seed=0))
    assert ours.std() > 0.01
    np.testing.assert_allclose(ours, features(theirs), atol=1e-4)


def random_backbone() -> keras.Model:
    """EfficientNetB0 with other statistics in each batch norm and with Keras' normalisation."""
    rng = np.random.default_rng(0)
    model = keras.applications.EfficientNetB0(include_top=False, weights=None, input_shape=(32, 32, 3))
    normalise_like_imagenet(model)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([rng.uniform(0.5, 1.5, w.shape) for w in layer.get_weights()])
    return model


def test_keras_second_rescaling_is_folded_into_the_stem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    downloaded = tmp_path / "downloaded.weights.h5"
    source = random_backbone()
    source.save_weights(downloaded)
    monkeypatch.setattr(GET_FILE, lambda *args, **kwargs: str(downloaded))
    theirs = keras.applications.EfficientNetB0(include_top=False, weights="imagenet", input_shape=(32, 32, 3))
    rescalings = [layer for layer in theirs.layers if isinstance(layer, keras.layers.Rescaling)]
    assert len(rescalings) == 2
    ours = initial_classifier(settings(), "imagenet", seed=0)
    for layer in ("stem_activation", "top_activation"):
        np.testing.assert_allclose(features(ours, layer), features(theirs, layer), atol=1e-4)
    kernel, same = (model.get_layer("stem_conv").get_weights()[0] for model in (source, theirs))
    np.testing.assert_array_equal(kernel, same)
    assert np.abs(ours.get_layer("stem_conv").get_weights()[0] / kernel).min() > 2


def test_keras_own_file_is_known_by_its_name(tmp_path: Path) -> None:
    with tiny_backbones():
        source = keras.applications.EfficientNetB7(False, None, (32, 32, 3))
        normalise_like_imagenet(source)
        kernel = source.get_layer("stem_conv").get_weights()[0]
        plain, folded = (
            initial_classifier(tiny(), "none", seed=0),
            initial_classifier(tiny(), "none", seed=0),
        )
    _copy_backbone(source, plain, rescaled=False)
    _copy_backbone(source, folded, rescaled=True)
    np.testing.assert_array_equal(plain.get_layer("stem_conv").get_weights()[0], kernel)
    factor = folded.get_layer("stem_conv").get_weights()[0] / kernel
    expected = 1 / np.sqrt([0.229, 0.224, 0.225])
    np.testing.assert_allclose(factor, np.broadcast_to(expected[:, None], factor.shape), rtol=1e-5)
    assert _is_keras_file(settings(), str(tmp_path / "efficientnetb0_notop.h5"))
    assert not _is_keras_file(settings(), str(tmp_path / "efficientnetb0_notop.weights.h5"))


def test_weights_of_another_normalisation_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.weights.h5"
    with tiny_backbones():
        keras.applications.EfficientNetB7(False, None, (32, 32, 3)).save_weights(path)
        with pytest.raises(ModelError, match="normalisation"):
            initial_classifier(tiny(), str(path), seed=0)


@pytest.mark.filterwarnings("error")
def test_another_architectures_weights_are_refused() -> None:
    path = weights_file("efficientnetlite0")
    with pytest.raises(ModelError, match="do not fit EfficientNetB0") as caught:
        initial_classifier(settings(), str(path), seed=0)
    assert path.name in caught.value.where


def test_missing_and_damaged_files_are_refused(tmp_path: Path) -> None:
    with tiny_backbones(), pytest.raises(ModelError, match="no such weights file"):
        initial_classifier(tiny(), str(tmp_path / "absent.h5"), seed=0)
    for name in ("damaged.weights.h5", "damaged.h5", "damaged.keras", "notes.txt"):
        (tmp_path / name).write_bytes(b"no weights")
        with tiny_backbones(), pytest.raises(ModelError, match="do not fit"):
            initial_classifier(tiny(), str(tmp_path / name), seed=0)


def test_without_a_connection_the_remedies_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*args: Any, **kwargs: Any) -> str:
        raise Exception("URL fetch failure")

    monkeypatch.setattr(GET_FILE, offline)
    with pytest.raises(ModelError, match="could not be downloaded") as caught:
        initial_classifier(settings(), "imagenet", seed=0)
    assert "--weights FILE" in caught.value.remedy
    assert "--weights none" in caught.value.remedy


def test_random_weights_come_from_the_seed() -> None:
    with tiny_backbones():
        one, same, other = (to_flat(initial_classifier(tiny(), "none", seed=seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


def test_lite0_is_for_b0_only() -> None:
    with tiny_backbones(), pytest.raises(SettingsError, match="EfficientNetB0 only"):
        initial_classifier(tiny(), "lite0", seed=0)


def test_origins(tmp_path: Path) -> None:
    path = tmp_path / "mine.h5"
    path.write_bytes(b"weights")
    digest = hashlib.sha256(b"weights").hexdigest()
    assert weights_origin(str(path)) == f"mine.h5 (sha256 {digest})"
    assert weights_origin("imagenet") == "imagenet"
