"""Model files that somebody else made, with a description beside them."""

from __future__ import annotations

import json
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers, ops

import dermafed
from dermafed.client.clinic.diagnosis.diagnose_files import open_diagnoser
from dermafed.client.clinic.diagnosis.opened_model import open_model
from dermafed.shared.errors import ModelError
from dermafed.shared.imaging.preprocess_settings import PreprocessSettings
from dermafed.shared.metrics.calibration.network_outputs import network_outputs
from dermafed.shared.model.model_file import load_model
from dermafed.shared.model.model_info import ModelInfo
from dermafed.shared.model.model_settings import ModelSettings
from dermafed.shared.training.data import LabelledImages
from dermafed.shared.training.predict import apply_classifier
from tests.shared.explain.foreign_models import HEADS, backbone

SIDE = 32
CLASSES = ("melanoma", "nevus", "other")
RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (3, SIDE, SIDE, 3), dtype=np.uint8)


def nested(end: str) -> keras.Model:
    keras.utils.set_random_seed(3)
    images = keras.Input((SIDE, SIDE, 3))
    return keras.Model(images, HEADS[end](backbone(side=SIDE)(layers.RandomFlip()(images))))


def saved(folder: Path, model: keras.Model, name: str = "theirs.keras", side: int = SIDE) -> Path:
    path = folder / name
    model.save(path)
    info = ModelInfo(
        ModelSettings(CLASSES, image_size=side),
        PreprocessSettings(image_size=side, denoise="none"),
        "theirs",
        0,
    )
    path.with_suffix(".json").write_text(json.dumps(info.to_dict()))
    return path


@pytest.mark.parametrize("name", ["theirs.keras", "theirs.h5"])
@pytest.mark.parametrize("end", ["operation", "sigmoid", "dense"])
def test_a_diagnosis_has_the_models_own_probabilities(tmp_path: Path, end: str, name: str) -> None:
    model = nested(end)
    path = saved(tmp_path, model, name)
    opened = dermafed.load_model(path)
    found = opened.diagnose(IMAGES[0]).probabilities
    own = np.asarray(model(opened.preprocess(IMAGES[0])[None].astype(np.float32), training=False))[0]
    expected = np.asarray(ops.softmax(own)) if end == "dense" else own
    assert list(found.values()) == pytest.approx(expected, abs=1e-6)
    assert opened.explain(IMAGES[0]).probabilities == pytest.approx(expected, abs=1e-6)


def test_a_model_that_ends_in_logits_is_evaluated_by_their_softmax(tmp_path: Path) -> None:
    model = nested("dense")
    classifier, _ = load_model(saved(tmp_path, model))
    data = LabelledImages(IMAGES, np.zeros(3, np.int64))
    expected = np.asarray(ops.softmax(model(IMAGES.astype(np.float32), training=False)))
    assert apply_classifier(classifier, data) == pytest.approx(expected, abs=1e-6)


def test_outputs_and_inputs_with_names(tmp_path: Path) -> None:
    images = keras.Input((SIDE, SIDE, 3), name="image")
    end = layers.Dense(3, activation="softmax")(backbone(side=SIDE)(images))
    model = keras.Model({"image": images}, {"class": end})
    path = saved(tmp_path, model)
    classifier, _ = load_model(path)
    pixels = IMAGES.astype(np.float32)
    expected = np.asarray(model({"image": pixels}, training=False)["class"])
    data = LabelledImages(IMAGES, np.zeros(3, np.int64))
    assert apply_classifier(classifier, data) == pytest.approx(expected, abs=1e-6)
    diagnoser, _ = open_diagnoser(str(path))
    assert diagnoser.explain(IMAGES[0]).probabilities == pytest.approx(expected[0], abs=1e-6)


def test_its_calibration_uses_its_logits_and_a_sigmoid_has_none(tmp_path: Path) -> None:
    data = LabelledImages(IMAGES, np.zeros(3, np.int64))
    for end in ("operation", "sigmoid"):
        model = nested(end)
        classifier = open_model(str(saved(tmp_path, model))).classifier
        if end == "sigmoid":
            with pytest.raises(ModelError, match="sigmoid"):
                network_outputs(classifier, data)
        else:
            logits = network_outputs(classifier, data).logits
            expected = np.asarray(model(IMAGES.astype(np.float32), training=False))
            assert np.asarray(ops.softmax(logits)) == pytest.approx(expected, abs=1e-6)


@keras.saving.register_keras_serializable("tests")
class TheirLayer(layers.Layer):  # type: ignore[misc]
    """A layer that is not Keras' own."""

    def call(self, values: keras.KerasTensor) -> keras.KerasTensor:
        return values


@pytest.mark.parametrize("name", ["theirs.keras", "theirs.h5"])
@pytest.mark.parametrize("code", ["Lambda", "TheirLayer"])
def test_code_in_a_file_is_not_run_and_named(
    tmp_path: Path, code: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = keras.Input((SIDE, SIDE, 3))
    layer = TheirLayer() if code == "TheirLayer" else layers.Lambda(lambda values: values / 255)
    end = layers.Dense(3, activation="softmax")(backbone(side=SIDE)(layer(images)))
    path = saved(tmp_path, keras.Model(images, end), name)
    monkeypatch.delitem(keras.saving.get_custom_objects(), "tests>TheirLayer")
    with pytest.raises(ModelError, match=f"{code}.*which is not run"):
        load_model(path)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda images: layers.Dense(2, activation="softmax")(backbone(side=SIDE)(images)), "2 outputs"),
        (
            lambda images: [
                layers.Dense(3, activation="softmax")(backbone(side=SIDE)(images)) for _ in range(2)
            ],
            "one output",
        ),
        (
            lambda images: layers.Dense(3, activation="tanh", name="bent")(backbone(side=SIDE)(images)),
            "'bent'",
        ),
    ],
)
def test_models_of_another_form_are_named(tmp_path: Path, make: object, message: str) -> None:
    images = keras.Input((SIDE, SIDE, 3))
    with pytest.raises(ModelError, match=message):
        load_model(saved(tmp_path, keras.Model(images, make(images))))  # type: ignore[operator]


def test_an_image_of_another_size_than_described(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"takes \[\(32, 32, 3\)\].*says \[\(64, 64, 3\)\]"):
        load_model(saved(tmp_path, nested("layer"), side=64))


def test_a_sequential_model_that_was_never_built(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="once built"):
        load_model(saved(tmp_path, keras.Sequential([layers.Conv2D(3, 3), layers.Softmax()])))
