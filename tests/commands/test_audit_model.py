"""``fl-client audit-model``: a whole audit of a real, untrained model, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest

from dermafed.client import cli
from dermafed.shared.artefacts.artefacts import CHANGES
from dermafed.shared.imaging.decoding import read_image
from dermafed.shared.imaging.preprocess_settings import PreprocessSettings
from dermafed.shared.model.model_file import load_model
from dermafed.shared.model.model_info import ModelInfo
from dermafed.shared.model.model_settings import ModelSettings
from tests.commands.random_model import save_random_model
from tests.commands.small_datasets import LABELS, SIDE, command, draw_dataset, needs_real_images, real_dataset
from tests.shared.training.tiny import tiny_backbones

CARD = ModelInfo(
    ModelSettings(LABELS, backbone="EfficientNetB7", image_size=32),
    PreprocessSettings(image_size=32, clahe_grid=4, denoise="none"),
    "none",
    7,
)
Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of random weights."""
    with tiny_backbones():
        return save_random_model(tmp_path_factory.mktemp("model"), CARD)


@pytest.fixture(scope="module")
def loaded(model: Path) -> keras.Model:
    return load_model(model)[0]


@pytest.fixture
def at_hand(loaded: keras.Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """Spares the loading, which takes seconds."""
    monkeypatch.setattr("dermafed.client.evaluation.audit_model.load_model", lambda _: (loaded, CARD))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return draw_dataset(tmp_path / "data", lesions=4)


def write_mask(data: Path, name: str, mask: np.ndarray) -> None:
    (data / "masks").mkdir(exist_ok=True)
    (data / "masks" / f"{name}.png").write_bytes(cv2.imencode(".png", mask)[1].tobytes())


@needs_real_images
def test_an_audit_is_files_a_table_and_json(
    model: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.chdir(tmp_path)
    data = real_dataset(tmp_path / "data", lesions=5, clinics=["one"])
    done = command(cli.main, capsys, "audit-model", data, "--model", model, "--json")
    assert done.code == 0, done.err
    answer = json.loads(done.out)
    assert json.loads((tmp_path / "audit-data" / "audit.json").read_text()) == answer
    assert list(answer["effects"]) == list(CHANGES)
    for effect in answer["effects"].values():
        # Untrained, it gives all 15 lesions one answer: the group of the other one is empty.
        shown = [effect[side] for side in ("to_melanoma", "to_benign") if effect[side] is not None]
        assert [flips["lesions"] for flips in shown] in ([15], [])
        assert effect["auc"]["before"] == answer["effects"]["ink"]["auc"]["before"]
        low, middle, high = effect["change"]["quantiles"].values()
        assert low <= middle <= high
    assert answer["lesions"] is None
    assert any("central disc" in note for note in answer["notes"])
    assert any("most probable class" in note for note in answer["notes"])
    sheet = read_image(tmp_path / "audit-data" / "audit.png")
    assert sheet.shape[0] > 1500
    assert sheet.std() > 20

    again = command(cli.main, capsys, "audit-model", data, "--model", model)
    assert again.code == 0, again.err
    ink = answer["effects"]["ink"]["change"]["mean"]
    for text in ("Ink marks", "Lesion erased", "Benign to melanoma", f"{ink:+.2f}", "Research use only"):
        assert text in again.out
    assert (tmp_path / "audit-data-2" / "audit.png").read_bytes() == (
        tmp_path / "audit-data" / "audit.png"
    ).read_bytes()


@pytest.mark.usefixtures("at_hand")
@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.zeros((SIDE, SIDE), np.uint8), "The mask shows no lesion"),
        (np.full((SIDE, 2 * SIDE), 255, np.uint8), f"The mask has {2 * SIDE} x {SIDE} pixels"),
    ],
)
def test_a_mask_that_cannot_be_used_is_refused_or_left_out(
    mask: np.ndarray, message: str, data: Path, tmp_path: Path, capsys: Capture
) -> None:
    write_mask(data, "image_001", mask)
    out = tmp_path / "out"
    done = command(cli.main, capsys, "audit-model", data, "--model", "m", "--out", out)
    assert (done.code, done.out) == (2, "")
    assert message in done.err
    assert "central disc" in done.err
    assert not out.exists()
    done = command(
        cli.main, capsys, "audit-model", data, "--model", "m", "--out", out, "--skip-bad", "--json"
    )
    assert [Path(path).name for path in json.loads(done.out)["unreadable"]] == ["image_001.png"]


def test_a_model_without_melanoma_is_refused(
    loaded: keras.Model, data: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = replace(CARD, model=ModelSettings(("nevus", "other"), image_size=32))
    monkeypatch.setattr("dermafed.client.evaluation.audit_model.load_model", lambda _: (loaded, card))
    done = command(cli.main, capsys, "audit-model", data, "--model", "m", "--out", tmp_path / "out")
    assert done.code == 2
    assert "does not know melanoma" in done.err
