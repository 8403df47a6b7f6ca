"""``fl-client explain``: its files belong to their images, and what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import keras
import numpy as np
import pytest

from dermafed.client import cli
from dermafed.shared.explain.explainer import Explainer
from dermafed.shared.imaging.decoding import read_image
from dermafed.shared.imaging.pipeline import preprocess
from dermafed.shared.imaging.preprocess_settings import PreprocessSettings
from dermafed.shared.model.classifier import build_classifier, to_flat
from dermafed.shared.model.model_file import save_model
from dermafed.shared.model.model_info import ModelInfo
from dermafed.shared.model.model_settings import ModelSettings
from tests.commands.small_datasets import HAM, LABELS, command, draw_image, needs_real_images
from tests.shared.explain.small_networks import small_classifier

Capture = pytest.CaptureFixture[str]
# The smallest size that CLAHE's settings allow.
PREPROCESS = PreprocessSettings(image_size=32, clahe_grid=4, denoise="none")
CARD = ModelInfo(ModelSettings(LABELS, image_size=32), PREPROCESS, "none", 1)
KEYS = [
    "image",
    "prediction",
    "probabilities",
    "class",
    "against",
    "method",
    "signed",
    "agreement",
    "passes",
    "constant",
    "depends_on_class",
    "class_correlation",
    "seconds",
    "overlay",
    "map",
]


@pytest.fixture(scope="module")
def classifier() -> keras.Model:
    return small_classifier(side=32)


@pytest.fixture
def at_hand(classifier: keras.Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small model, instead of one that takes seconds to load and compile."""
    monkeypatch.setattr("dermafed.client.evaluation.explain_images.load_model", lambda _: (classifier, CARD))
    monkeypatch.setattr(
        "dermafed.client.evaluation.explain_images.Explainer",
        lambda model: Explainer(model, engine="tensorflow"),
    )


@pytest.fixture
def images(tmp_path: Path) -> Path:
    for seed, name in enumerate(("a.png", "b/A.png", "b/c.png", "masks/a.png")):
        draw_image(tmp_path / "images" / name, seed)
    (tmp_path / "images" / "notes.txt").write_text("no image")
    return tmp_path / "images"


def explain(capsys: Capture, *arguments: object) -> list[dict[str, Any]]:
    done = command(cli.main, capsys, "explain", *arguments, "--model", "at hand", "--json")
    assert done.code == 0, done.err
    return [json.loads(line) for line in done.out.splitlines()]


def refusal(capsys: Capture, out: Path, *arguments: object) -> str:
    done = command(cli.main, capsys, "explain", *arguments, "--out", out)
    assert (done.code, done.out) == (2, ""), done
    assert "Traceback" not in done.err
    assert not out.exists()
    return done.err


@pytest.mark.usefixtures("at_hand")
def test_each_image_of_a_folder_gets_its_overlay_map_and_line(
    classifier: keras.Model, images: Path, tmp_path: Path, capsys: Capture
) -> None:
    lines = explain(capsys, images, images / "a.png", "--out", tmp_path / "out")
    assert [list(line) for line in lines] == [KEYS] * 3
    assert [Path(line["image"]).relative_to(images).as_posix() for line in lines] == [
        "a.png",
        "b/A.png",
        "b/c.png",
    ]
    written = [json.loads(line) for line in (tmp_path / "out" / "explanations.jsonl").open()]
    assert written == lines
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(
        ["A-2.npy", "A-2.png", "a.npy", "a.png", "c.npy", "c.png", "explanations.jsonl"]
    )
    for line in lines:
        image = preprocess(read_image(Path(line["image"])), PREPROCESS).image
        expected = Explainer(classifier, engine="tensorflow").explain(image)
        heatmap = np.load(line["map"])
        assert (heatmap.dtype, heatmap.shape) == (np.float32, (32, 32))
        assert heatmap == pytest.approx(expected.heatmap, abs=1e-5)
        assert list(line["probabilities"].values()) == pytest.approx(expected.probabilities, abs=1e-5)
        assert line["prediction"] == line["class"] == LABELS[expected.predicted]
        assert (line["method"], line["agreement"], line["constant"]) == ("scorecam", 1, False)
        assert cv2.imread(line["overlay"]).shape[2] == 3


@pytest.mark.usefixtures("at_hand")
def test_class_contrast_and_method_are_as_asked(images: Path, tmp_path: Path, capsys: Capture) -> None:
    image = images / "a.png"
    arguments = ("--class", "Seborrheic keratosis", "--against", "nevus")
    for number, (options, method) in enumerate(
        [(("--exact",), "scorecam-exact"), (("--method", "gradcam"), "gradcam"), (("--method", "cam"), "cam")]
    ):
        (line,) = explain(capsys, image, *arguments, *options, "--out", tmp_path / str(number))
        assert (line["class"], line["against"]) == ("seborrheic_keratosis", "nevus")
        assert line["method"] == method


@pytest.mark.usefixtures("at_hand")
def test_an_image_of_one_colour_has_a_map_of_zeros_and_a_remark(tmp_path: Path, capsys: Capture) -> None:
    plain = tmp_path / "plain.png"
    cv2.imwrite(str(plain), np.full((50, 40, 3), 90, np.uint8))
    done = command(cli.main, capsys, "explain", plain, "--model", "m", "--out", tmp_path / "out")
    assert done.code == 0, done.err
    assert "the map is zero everywhere" in done.out
    assert not np.load(tmp_path / "out" / "plain.npy").any()
    (line,) = map(json.loads, (tmp_path / "out" / "explanations.jsonl").open())
    assert line["constant"]


@pytest.mark.parametrize(("certainty", "depends"), [(0.2, False), (20, True)])
def test_a_map_that_does_not_depend_on_the_class_says_so(
    certainty: float,
    depends: bool,
    images: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
) -> None:
    """Score-CAM of a network whose logits hardly differ between the masks, and of a certain one."""
    module = "dermafed.client.evaluation.explain_images"
    model = small_classifier(side=32, certainty=certainty)
    monkeypatch.setattr(f"{module}.load_model", lambda _: (model, CARD))
    monkeypatch.setattr(f"{module}.Explainer", lambda given: Explainer(given, engine="tensorflow"))
    done = command(cli.main, capsys, "explain", images / "a.png", "--model", "m", "--out", tmp_path / "out")
    assert ("this map does not depend on the class" in done.out) == (not depends)
    (line,) = map(json.loads, (tmp_path / "out" / "explanations.jsonl").open())
    assert line["depends_on_class"] == depends == (line["class_correlation"] <= 0.95)


@pytest.mark.usefixtures("at_hand")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--class", "melanom"), "melanoma, nevus, seborrheic_keratosis"),
        (("--class", "nevus", "--against", "mel"), "no class 'mel'"),
        (("--class", "nevus", "--against", "nevus"), "another one"),
        (("--against", "nevus"), "--against needs a --class"),
        (("--method", "scorecamm"), "scorecam, scorecam-exact, gradcam, gradcam++, gradient-weighted, cam"),
        (("--method", "cam", "--exact"), "--exact belongs to Score-CAM"),
    ],
)
def test_errors_for_unknown_classes_and_methods_list_the_choices(
    images: Path, tmp_path: Path, capsys: Capture, arguments: tuple[str, ...], message: str
) -> None:
    assert message in refusal(capsys, tmp_path / "out", images, "--model", "m", *arguments)


@pytest.mark.usefixtures("at_hand")
def test_what_cannot_be_read_is_named_and_nothing_written(
    images: Path, tmp_path: Path, capsys: Capture
) -> None:
    (images / "b" / "bad.jpg").write_bytes(b"no image")
    assert "bad.jpg" in refusal(capsys, tmp_path / "out", images, "--model", "m")
    assert "nowhere.png" in refusal(capsys, tmp_path / "out", tmp_path / "nowhere.png", "--model", "m")
    (tmp_path / "empty").mkdir()
    assert "has no image" in refusal(capsys, tmp_path / "out", tmp_path / "empty", "--model", "m")


def test_a_missing_model_is_named(images: Path, tmp_path: Path, capsys: Capture) -> None:
    assert "no.keras" in refusal(capsys, tmp_path / "out", images, "--model", tmp_path / "no.keras")


def test_a_folder_in_use_is_left_alone(images: Path, capsys: Capture) -> None:
    done = command(cli.main, capsys, "explain", images, "--model", "m", "--out", images)
    assert done.code == 2
    assert "in use" in done.err


@needs_real_images
@pytest.mark.journey
def test_real_images_through_a_real_model_file(tmp_path: Path, capsys: Capture) -> None:
    """EfficientNetB0 at 96 px, loaded, compiled by the fastest engine, on three real images."""
    card = ModelInfo(ModelSettings(LABELS, image_size=96), PreprocessSettings(image_size=96), "none", 1)
    keras.utils.set_random_seed(3)
    save_model(tmp_path / "model.keras", to_flat(build_classifier(card.model)), card)
    (tmp_path / "images").mkdir()
    for path in sorted((HAM / "images").glob("*.jpg"))[:3]:
        shutil.copy(path, tmp_path / "images")
    arguments = (
        tmp_path / "images",
        "--model",
        tmp_path / "model.keras",
        "--out",
        tmp_path / "out",
        "--json",
    )
    done = command(cli.main, capsys, "explain", *arguments)
    assert done.code == 0, done.err
    for line in map(json.loads, done.out.splitlines()):
        heatmap = np.load(line["map"])
        assert (heatmap.shape, heatmap.min(), heatmap.max()) == ((96, 96), 0, 1)
        assert sum(line["probabilities"].values()) == pytest.approx(1, abs=1e-5)
        assert line["agreement"] >= 0.99
