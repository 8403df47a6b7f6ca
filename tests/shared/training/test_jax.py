"""On JAX, training, validation and explanations give nearly what they give on TensorFlow."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import keras
import numpy as np
import pytest

from tests.shared.explain.small_networks import METHODS, small_classifier
from tests.shared.training.on_backend import CLASSIFIER, RECIPES, RESULTS, WEIGHTS, results
from tests.shared.training.tiny import start, tiny, tiny_backbones

ROOT = Path(__file__).parents[3]


@pytest.mark.skipif(find_spec("jax") is None, reason="JAX is not installed")
@pytest.mark.skipif(keras.config.backend() != "tensorflow", reason="compares with TensorFlow")
def test_jax_gives_nearly_what_tensorflow_gives(tmp_path: Path) -> None:
    with tiny_backbones():
        np.save(tmp_path / WEIGHTS, start(tiny()))
    small_classifier().save(tmp_path / CLASSIFIER)
    here = results(tmp_path)
    saved = tmp_path / "features" / "features"
    features = len([*saved.iterdir()])
    environment = os.environ | {"KERAS_BACKEND": "jax"}
    command = [sys.executable, "-m", "tests.shared.training.on_backend", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, env=environment, check=True)
    with np.load(tmp_path / RESULTS) as there:
        assert there["backend"] == "jax"
        assert {*there.files} == {*here, "backend"}
        for name in RECIPES:
            np.testing.assert_allclose(there[f"{name} loss"], here[f"{name} loss"], rtol=1e-3)
            np.testing.assert_allclose(there[f"{name} validation"], here[f"{name} validation"], atol=1e-3)
            assert np.abs(there[name] - here[name]).max() < 1e-3
        assert np.abs(there["proximal"] - here["proximal"]).max() < 1e-3
        for method in METHODS:
            np.testing.assert_allclose(there[method], here[method], atol=1e-3)
    # What one backend saved, the other does not take for its own.
    assert len([*saved.iterdir()]) == 2 * features > 0
