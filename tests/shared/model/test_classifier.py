from __future__ import annotations

import keras
import numpy as np
import pytest

from dermafed.shared.errors import ModelError, SettingsError
from dermafed.shared.model.blocks import block_of
from dermafed.shared.model.classifier import (
    HEAD_SCALE,
    batch_norm_mask,
    build_classifier,
    exchanged_variables,
    logits_model,
    parts_of,
    set_flat,
    to_flat,
    trainable_mask,
)
from dermafed.shared.model.metadata import METADATA_FEATURES
from dermafed.shared.model.model_settings import ModelSettings
from dermafed.shared.model.parts import MEANS, VARIANCES, WEIGHTS
from tests.shared.model.real_weights import CLASSES, IMAGES
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


def test_worked_example_of_the_head(b0: keras.Model) -> None:
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


def counted(model: keras.Model, kind: type[keras.layers.Layer]) -> int:
    return sum(w.size for layer in model.layers if isinstance(layer, kind) for w in layer.get_weights())


def test_the_vector_is_everything_but_the_input_normalisation(b0: keras.Model) -> None:
    flat = to_flat(b0)
    assert flat.dtype == np.float32
    # Keras' summary: 4,049,571 without top, of them 3 + 3 + 1 of the normalisation.
    assert flat.size == 4_049_571 - 7 + 4 * 1280 + (1280 + 1) * 3
    assert counted(b0, keras.layers.Normalization) == 7
    assert not any("normalization/" in variable.path for variable in exchanged_variables(b0))


def test_batch_norm_has_four_values_a_channel(b0: keras.Model) -> None:
    mask, flat = batch_norm_mask(b0), to_flat(b0)
    assert mask.shape == flat.shape
    assert mask.sum() == counted(b0, keras.layers.BatchNormalization)
    # Fresh batch norms: scale 1 (the head's less), shift 0, mean 0, variance 1.
    assert (flat[mask] == 0).sum() == mask.sum() / 2
    assert set(np.unique(flat[mask])) == {0, np.float32(HEAD_SCALE), 1}


def test_all_but_moving_statistics_are_trained(b0: keras.Model) -> None:
    batch_norm, trained = batch_norm_mask(b0), trainable_mask(b0)
    assert trained[~batch_norm].all()
    assert trained[batch_norm].sum() == batch_norm.sum() / 2
    assert trained.sum() == sum(int(np.prod(v.shape)) for v in b0.trainable_variables)


def test_frozen_layers_are_not_trained() -> None:
    with tiny_backbones():
        model = build_classifier(tiny(batch_norm="frozen", frozen_blocks=1))
    # The last convolution, the head's norm, the dense layer.
    assert trainable_mask(model).sum() == 3 * 3 * 4 * 8 + 2 * 8 + 8 * 3 + 3


def test_a_round_trip_changes_nothing() -> None:
    with tiny_backbones():
        model, other = build_classifier(tiny()), build_classifier(tiny())
    weights = np.random.default_rng(0).uniform(0.5, 1.5, to_flat(model).size).astype(np.float32)
    set_flat(model, weights)
    np.testing.assert_array_equal(to_flat(model), weights)
    set_flat(other, to_flat(model))
    for one, same in zip(model.weights, other.weights, strict=True):
        np.testing.assert_array_equal(
            keras.ops.convert_to_numpy(one.value), keras.ops.convert_to_numpy(same.value)
        )


def test_only_values_that_change_are_assigned_and_minus_zero_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    with tiny_backbones():
        model = build_classifier(tiny())
    set_flat(model, np.zeros_like(to_flat(model)))
    assigned: list[keras.Variable] = []
    assign = keras.Variable.assign

    def noted(variable: keras.Variable, value: np.ndarray) -> object:
        assigned.append(variable)
        return assign(variable, value)

    monkeypatch.setattr(keras.Variable, "assign", noted)
    weights = to_flat(model)
    set_flat(model, weights)
    assert not assigned
    weights[-1] = -0.0
    set_flat(model, weights)
    assert len(assigned) == 1
    assert np.signbit(to_flat(model)).tolist() == np.signbit(weights).tolist()


@pytest.mark.parametrize("size", [0, 1, -1])
def test_a_vector_of_another_size_is_refused(size: int) -> None:
    with tiny_backbones():
        model = build_classifier(tiny())
    weights = to_flat(model)
    with pytest.raises(ModelError, match="this architecture has"):
        set_flat(model, np.resize(weights, weights.size + size if size else 0))
    np.testing.assert_array_equal(to_flat(model), weights)


def test_the_parts_that_a_server_screens_are_those_of_batch_normalisation(b0: keras.Model) -> None:
    model = keras.models.clone_model(b0)
    parts = parts_of(model)
    layers = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    channels = sum(int(layer.moving_mean.shape[0]) for layer in layers)
    assert [int((parts == part).sum()) for part in (MEANS, VARIANCES)] == [channels, channels]
    assert (parts == WEIGHTS).sum() == to_flat(model).size - 2 * channels
    for layer in layers:
        layer.moving_variance.assign(np.full(layer.moving_variance.shape, 77.0))
        layer.moving_mean.assign(np.full(layer.moving_mean.shape, -77.0))
    flat = to_flat(model)
    assert (flat[parts == VARIANCES] == 77).all()
    assert (flat[parts == MEANS] == -77).all()
