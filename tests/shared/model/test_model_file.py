from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from dermafed.shared.errors import DermaFedError, ModelError
from dermafed.shared.imaging.preprocess_settings import PreprocessSettings
from dermafed.shared.model.classifier import build_classifier, set_flat, to_flat
from dermafed.shared.model.model_file import load_model, save_model
from dermafed.shared.model.model_info import ModelInfo
from tests.shared.model.real_weights import IMAGES
from tests.shared.training.tiny import start, tiny, tiny_backbones

INFO = ModelInfo(
    tiny(),
    PreprocessSettings(image_size=32, sigma=5.0, clahe_grid=4),
    origin="mine.h5",
    round=7,
    data={"images": 12},
    note="bkl is taken for seborrheic keratosis",
)


@pytest.fixture(autouse=True)
def _tiny() -> Iterator[None]:
    with tiny_backbones():
        yield


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "model.keras"
    save_model(path, start(INFO.model), INFO)
    return path


def test_what_is_added_to_a_model_of_a_file_may_be_called_as_a_part_of_it(tmp_path: Path) -> None:
    """Keras numbers operations by process: a file's and those of an explanation may have one name."""
    inputs = keras.Input((32, 32, 3))
    sums = keras.ops.sum(keras.ops.transpose(inputs, (0, 3, 1, 2)), axis=(2, 3))
    inner = keras.Model(inputs, sums)
    model = keras.Sequential([keras.Input((32, 32, 3)), inner, keras.layers.Softmax()])
    names = {own.name for own in inner.operations if not isinstance(own, keras.Layer)}
    assert len(names) == 2
    path = tmp_path / "model.keras"
    save_model(path, start(INFO.model), INFO)
    model.save(path)
    loaded, _ = load_model(path)
    nested = next(own for own in loaded.layers if isinstance(own, keras.Model))
    for name in names:
        keras.Model(nested.inputs, keras.layers.Identity(name=name)(nested.outputs[0]))
    expected = keras.ops.convert_to_numpy(model(IMAGES))
    np.testing.assert_allclose(keras.ops.convert_to_numpy(loaded(IMAGES)), expected, atol=1e-6)


def test_a_saved_model_predicts_the_same(saved: Path) -> None:
    model, info = load_model(saved)
    original = build_classifier(INFO.model)
    set_flat(original, start(INFO.model))
    np.testing.assert_array_equal(to_flat(model), start(INFO.model))
    expected = keras.ops.convert_to_numpy(original(IMAGES))
    np.testing.assert_allclose(keras.ops.convert_to_numpy(model(IMAGES)), expected, atol=1e-6)
    assert info == INFO
    assert sorted(file.name for file in saved.parent.iterdir()) == ["model.json", "model.keras"]


def test_the_json_file_is_readable(saved: Path) -> None:
    info = json.loads(saved.with_suffix(".json").read_text())
    assert info["classes"] == list(INFO.model.classes)
    assert info["preprocessing"]["image_size"] == 32
    assert info["model"]["backbone"] == "EfficientNetB7"
    assert info["round"] == 7
    assert "not a medical device" in info["intended_use"]


@pytest.mark.parametrize("suffix", [".keras", ".json"])
def test_missing_files_are_named(saved: Path, suffix: str) -> None:
    missing = saved.with_suffix(suffix)
    missing.unlink()
    with pytest.raises(ModelError, match="no such") as caught:
        load_model(saved)
    assert caught.value.where == str(missing)


def edited(field: str, value: object) -> dict[str, Any]:
    return {**INFO.to_dict(), field: value}


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "null",
        "{}",
        "\udcff",
        json.dumps(edited("model", {"classes": ["a", "b"], "depth": 3})),
        json.dumps(edited("preprocessing", {})),
        json.dumps(edited("round", "last")),
        json.dumps(edited("round", None)),
    ],
)
def test_a_damaged_json_file_is_refused(saved: Path, content: str) -> None:
    saved.with_suffix(".json").write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(ModelError, match=r"\.json file cannot be read"):
        load_model(saved)


def test_a_damaged_model_is_refused(saved: Path) -> None:
    content = saved.read_bytes()
    damaged = [b"", b"PK", content[: len(content) // 2], content[:-10]]
    for start_at in range(0, len(content), len(content) // 12):
        stretch = bytes(255 - byte for byte in content[start_at : start_at + 300])
        damaged.append(content[:start_at] + stretch + content[start_at + 300 :])
    refused = 0
    for bad in damaged:
        saved.write_bytes(bad)
        try:
            load_model(saved)
        except ModelError:
            refused += 1
    assert refused >= len(damaged) - 2  # a stretch may fall where nothing is read


def test_a_json_file_of_other_classes_is_refused(saved: Path) -> None:
    other = ModelInfo(tiny(classes=("a", "b")), INFO.preprocess, "none", 1)
    saved.with_suffix(".json").write_text(json.dumps(other.to_dict()))
    with pytest.raises(ModelError, match=r"3 outputs, its \.json file names 2"):
        load_model(saved)


def test_weights_of_another_model_write_nothing(tmp_path: Path) -> None:
    with pytest.raises(ModelError):
        save_model(tmp_path / "model.keras", np.zeros(3, np.float32), INFO)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_the_old_model(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: Any, **kwargs: Any) -> None:
        raise OSError(28, "No space left on device")

    before = saved.read_bytes()
    monkeypatch.setattr(keras.Model, "save", full)
    with pytest.raises(DermaFedError, match="No space left"):
        save_model(saved, start(INFO.model), INFO)
    assert saved.read_bytes() == before
    with pytest.raises(DermaFedError):
        save_model(saved.parent / "absent" / "model.keras", start(INFO.model), INFO)
