"""The public interface for Python, on what version 0.1.0 wrote: the same numbers as its commands gave."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dermafed
from dermafed.shared.imaging.decoding import read_image
from dermafed.simulation.runs.from_plan import plan_values
from tests.paths import ROOT

FIXTURES = ROOT / "tests" / "fixtures" / "v0_1_0"
EXPECTED: dict[str, Any] = json.loads((FIXTURES / "expected.json").read_text("utf-8"))
PLAN = """\
name = "spring"
rounds = 3
clinics = ["graz", "linz"]
weights = "none"

[model]
image_size = 32
classes = ["melanoma", "other"]

[labels]
bkl = "other"

[training]
learning_rate = 0.01
"""


def test_the_import_is_quick_and_loads_nothing_large() -> None:
    program = "import sys, dermafed; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not set(done.stdout.split()) & {"numpy", "keras", "flwr", "cv2", "pydantic", "typer", "rich"}


def test_all_public_names_are_there() -> None:
    for name in dermafed.__all__:
        assert getattr(dermafed, name).__doc__


@pytest.mark.journey
def test_a_model_diagnoses_as_the_command_line_did(tmp_path: Path) -> None:
    with tarfile.open(FIXTURES / "model.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    model = dermafed.load_model(tmp_path / "model" / "spring.keras")
    for line in EXPECTED["diagnose"]:
        path = tmp_path / line["image"]
        for image in (path, str(path), path.read_bytes()):
            diagnosis = model.diagnose(image)
            assert diagnosis.probabilities == pytest.approx(line["probabilities"], abs=1e-6)
            assert (diagnosis.prediction, diagnosis.unsure) == (line["prediction"], line["unsure"])
    pixels = read_image(path)
    assert model.diagnose(pixels).probabilities == pytest.approx(line["probabilities"], abs=1e-6)
    side = len(model.preprocess(pixels))
    assert model.explain(pixels).heatmap.shape == (side, side)
    with pytest.raises(dermafed.DermaFedError, match="age"):
        model.diagnose(pixels, age=500)


@pytest.mark.parametrize(
    "image", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8)]
)
def test_an_array_that_is_not_an_image_is_refused(image: Any) -> None:
    with pytest.raises(dermafed.DermaFedError, match="is not an image"):
        dermafed.preprocess(image)


def test_preprocess_takes_settings() -> None:
    image = np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8)
    assert dermafed.preprocess(image, image_size=32, denoise="none").shape == (32, 32, 3)
    with pytest.raises(dermafed.DermaFedError, match="denoize"):
        dermafed.preprocess(image, denoize="none")


def test_a_plan_becomes_the_settings_of_a_simulation(tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    path.write_text(PLAN)
    values = plan_values(path)
    expected = {
        "rounds": 3,
        "only": "graz,linz",
        "weights": "none",
        "image_size": 32,
        "classes": "melanoma=melanoma,other=other+bkl",
        "learning_rate": 0.01,
        "epochs": 0.25,  # the plan's default
    }
    assert {name: values[name] for name in expected} == expected


def test_what_a_simulation_does_not_have_is_refused_not_ignored(tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    path.write_text(PLAN.replace("[labels]", "dropout = 0.5\n\n[labels]"))
    with pytest.raises(dermafed.DermaFedError, match=r"dropout = 0.2, not 0.5 .*plan.toml, dropout"):
        plan_values(path)
