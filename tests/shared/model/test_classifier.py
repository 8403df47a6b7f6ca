from __future__ import annotations

import keras
import numpy as np
import pytest

from dermafed.shared.errors import SettingsError
from dermafed.shared.model.classifier import HEAD_SCALE, block_of, build_classifier, logits_model
from dermafed.shared.model.metadata import METADATA_FEATURES
from dermafed.shared.model.model_settings import ModelSettings
from tests.shared.model.real import CLASSES, IMAGES
from tests.shared.training.tiny import tiny, tiny_backbones


def output(model: keras.Model, inputs: object = IMAGES) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(model(inputs)))


def test_the_head_is_the_papers(b0: keras.Model) -> None:
    start = [layer.name for layer in b0.layers].index("top_activation")
    head = [(type(layer).__name__, layer.name) for layer in b0.layers[start + 1 :]]
    assert head == [
        ("GlobalAveragePooling2D", "pooled"),
        ("BatchNormalization", "head_norm"),
        ("Dropout", "head_dropout"),
        ("Dense", "logits"),
        ("Softmax", "probabilities"),
    ]
    assert b0.input_shape == (None, 32, 32, 3)
    assert b0.get_layer("top_activation").output.shape[-1] == 1280


def test_probabilities_are_the_softmax_of_the_logits(b0: keras.Model) -> None:
    probabilities, logits = output(b0), output(logits_model(b0))
    assert probabilities.shape == (2, 3)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    scores = np.exp(logits - logits.max(axis=1, keepdims=True))
    np.testing.assert_allclose(probabilities, scores / scores.sum(axis=1, keepdims=True), atol=1e-6)


def test_the_head_by_hand_from_the_features(b0: keras.Model) -> None:
    features = output(keras.Model(b0.input, b0.get_layer("top_activation").output))
    kernel, bias = b0.get_layer("logits").get_weights()
    pooled = features.mean(axis=(1, 2)) / np.sqrt(1 + 1e-3) * HEAD_SCALE  # mean 0, variance 1 at the start
    np.testing.assert_allclose(output(logits_model(b0)), pooled @ kernel + bias, atol=1e-5)


def test_the_input_is_normalised_with_imagenets_statistics(b0: keras.Model) -> None:
    first = keras.Model(b0.input, b0.get_layer("stem_conv_pad").input)
    expected = (IMAGES / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    np.testing.assert_allclose(output(first), expected, atol=1e-4)


def test_blocks_by_name() -> None:
    names = {"stem_conv": 0, "normalization": 0, "block1a_dwconv": 1, "block7a_se_reduce": 7, "top_bn": 8}
    assert {name: block_of(name) for name in names} == names


def trained_layers(settings: ModelSettings) -> set[str]:
    with tiny_backbones():
        model = build_classifier(settings)
    return {layer.name for layer in model.layers if layer.trainable_weights}


def test_what_is_trained() -> None:
    head = {"head_norm", "logits"}
    everything = {"stem_conv", "stem_bn", "block1a_dwconv", "block1a_bn", "top_conv", "top_bn"} | head
    assert trained_layers(tiny()) == everything
    assert trained_layers(tiny(batch_norm="local")) == everything
    assert trained_layers(tiny(batch_norm="frozen")) == everything - {"stem_bn", "block1a_bn", "top_bn"}
    assert trained_layers(tiny(frozen_blocks=1)) == {"top_conv", "top_bn"} | head
    assert trained_layers(tiny(frozen_blocks=7)) == {"top_conv", "top_bn"} | head


def test_metadata_is_a_second_input() -> None:
    with tiny_backbones():
        model = build_classifier(tiny(metadata=True))
    metadata = np.zeros((2, METADATA_FEATURES), np.float32)
    other = metadata + 1
    assert output(model, [IMAGES, metadata]).shape == (2, 3)
    assert not np.allclose(output(model, [IMAGES, metadata]), output(model, [IMAGES, other]))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("backbone", "ResNet50"),
        ("batch_norm", "group"),
        ("classes", ("nevus",)),
        ("image_size", 31),
        ("image_size", "224"),
        ("frozen_blocks", 8),
        ("dropout", 1.0),
        ("dropout", float("nan")),
        ("width", 2),
    ],
)
def test_impossible_settings_are_refused(field: str, value: object) -> None:
    with pytest.raises(SettingsError):
        ModelSettings.from_dict({"classes": CLASSES, field: value})
    with pytest.raises(SettingsError):
        ModelSettings.from_dict({"backbone": "EfficientNetB0"})


def test_settings_survive_their_dictionary() -> None:
    settings = ModelSettings(CLASSES, backbone="EfficientNetV2S", batch_norm="local", metadata=True)
    assert ModelSettings.from_dict(settings.to_dict()) == settings
