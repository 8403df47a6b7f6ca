"""``fl-client evaluate`` and ``convert``: metrics that can be worked out, and what is refused."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import keras
import numpy as np
import pytest

from dermafed.client import cli
from dermafed.shared.errors import DermaFedError
from dermafed.shared.imaging.decoding import read_image
from dermafed.shared.imaging.pipeline import preprocess
from dermafed.shared.imaging.preprocess_settings import PreprocessSettings
from dermafed.shared.metrics.challenge_csv import PREDICTIONS_FILE as ISIC_PREDICTIONS
from dermafed.shared.metrics.challenge_csv import TRUTH_FILE as ISIC_TRUTH
from dermafed.shared.model.model_file import load_model
from dermafed.shared.model.model_info import ModelInfo
from dermafed.shared.model.model_settings import ModelSettings
from tests.commands.random_model import save_random_model
from tests.commands.small_datasets import (
    LABELS,
    command,
    draw_dataset,
    draw_image,
    edit_manifest,
    needs_real_images,
    real_dataset,
)
from tests.shared.training.tiny import tiny_backbones

PREPROCESS = PreprocessSettings(image_size=32, clahe_grid=4, denoise="none")
CARD = ModelInfo(
    ModelSettings(LABELS, backbone="EfficientNetB7", image_size=32),
    PREPROCESS,
    "none",
    7,
    labels={"melanoma": "melanoma", "nevus": "nevus", "seborrheic_keratosis": "seborrheic_keratosis"},
    data={"clinics": {"north": {"nevus": 12, "melanoma": 3}}},
)
Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module", autouse=True)
def _tiny() -> Iterator[None]:
    with tiny_backbones():
        yield


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of random weights, as good as any to check metrics with."""
    return save_random_model(tmp_path_factory.mktemp("model"), CARD)


@pytest.fixture(scope="module")
def loaded(model: Path) -> keras.Model:
    return load_model(model)[0]


@pytest.fixture
def at_hand(loaded: keras.Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """Spares the loading, which takes seconds."""
    monkeypatch.setattr("dermafed.client.evaluation.evaluate.load_model", lambda _: (loaded, CARD))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return draw_dataset(tmp_path / "data", lesions=4)


def refusal(capsys: Capture, tmp_path: Path, *arguments: object) -> str:
    before = set(tmp_path.iterdir())
    done = command(cli.main, capsys, "evaluate", *arguments, "--out", tmp_path / "out")
    assert (done.code, done.out) == (2, ""), done
    assert "Traceback" not in done.err
    assert set(tmp_path.iterdir()) == before
    return done.err


def read_predictions(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def check_alert(alert: dict[str, Any], rows: list[dict[str, str]]) -> None:
    """Of 8 melanomas all have to be found for 95 %: the threshold is their lowest score."""
    scores = {
        kind: [float(row["melanoma"]) for row in rows if (row["label"] == "melanoma") == kind]
        for kind in (True, False)
    }
    assert alert["threshold"] == pytest.approx(min(scores[True]))
    assert (alert["sensitivity"]["value"], alert["miss_rate"]["value"]) == (1, 0)
    assert alert["miss_rate"]["interval"]["high"] == pytest.approx(1 - 0.025 ** (1 / 8))
    spared = sum(score < min(scores[True]) for score in scores[False])
    assert alert["specificity"]["value"] == pytest.approx(spared / 16)
    assert alert["prevalence"] == pytest.approx(1 / 3)
    assert [point["threshold_probability"] for point in alert["decision_curve"]] == [0.05, 0.1, 0.15, 0.2]
    assert "chosen on these lesions" in alert["note"]


def check_by_the_official_scorer(folder: Path, answer: dict[str, Any]) -> None:
    official = pytest.importorskip("isic_challenge_scoring.classification", reason="needs the extra 'scorer'")
    scored = official.ClassificationScore.from_file(
        folder / ISIC_TRUTH, folder / ISIC_PREDICTIONS, official.ClassificationMetric.BALANCED_ACCURACY
    )
    assert scored.overall == pytest.approx(answer["balanced_accuracy"], abs=1e-6)
    for name in LABELS:
        assert scored.per_category.auc[name] == pytest.approx(answer["per_class"][name]["auc"], abs=1e-6)


@pytest.mark.filterwarnings("ignore:DataFrame.applymap")  # the scorer's
def test_metrics_are_those_of_the_predictions(
    model: Path, data: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = command(cli.main, capsys, "evaluate", data, "--model", model, "--json")
    assert done.code == 0, done.err
    answer = json.loads(done.out)
    assert done.out.count("\n") == 1
    rows = read_predictions(tmp_path / "evaluation-data" / "predictions.csv")
    assert answer["predictions"] == str(tmp_path / "evaluation-data" / "predictions.csv")
    assert json.loads((tmp_path / "evaluation-data" / "metrics.json").read_text()) == answer
    assert list(rows[0]) == ["image", "label", *LABELS]
    hits = Counter(
        row["label"] for row in rows if max(LABELS, key=lambda name: float(row[name])) == row["label"]
    )
    assert (answer["images"], len(rows)) == (24, 24)
    assert answer["accuracy"] == pytest.approx(sum(hits.values()) / 24)
    assert answer["balanced_accuracy"] == pytest.approx(sum(hits[name] / 8 for name in LABELS) / 3)
    assert answer["excluded"] == {}
    assert (answer["classes"], answer["round"]) == (list(LABELS), 7)
    check_alert(answer["alert"], rows)
    low, value, high = (
        answer["intervals"]["accuracy"]["low"],
        answer["accuracy"],
        answer["intervals"]["accuracy"]["high"],
    )
    assert low <= value <= high
    check_by_the_official_scorer(tmp_path / "evaluation-data", answer)


@pytest.mark.usefixtures("at_hand")
def test_a_prediction_is_the_models_on_the_image_as_its_card_prepares_it(
    loaded: keras.Model, data: Path, tmp_path: Path, capsys: Capture
) -> None:
    arguments = ("--model", "at hand", "--out", tmp_path / "out")
    assert command(cli.main, capsys, "evaluate", data, *arguments).code == 0
    row = read_predictions(tmp_path / "out" / "predictions.csv")[5]
    image = preprocess(read_image(data / "images" / f"{row['image']}.png"), PREPROCESS).image
    alone = keras.ops.convert_to_numpy(loaded(image[None].astype(np.float32)))[0]
    assert [float(row[name]) for name in LABELS] == pytest.approx(alone, abs=1e-4)


@pytest.mark.usefixtures("at_hand")
def test_own_labels_are_mapped_and_what_is_left_out_is_counted(
    data: Path, tmp_path: Path, capsys: Capture
) -> None:
    table = data / "metadata.csv"
    table.write_text(table.read_text().replace(",melanoma,", ",MM,").replace(",nevus,", ",NZN,"))
    edit_manifest(data, ",NZN,", ",odd,")
    (data / "images" / "image_020.png").write_bytes(b"")
    arguments = ("--model", "at hand", "--classes", "melanoma=MM,nevus=NZN", "--skip-bad")
    done = command(cli.main, capsys, "evaluate", data, *arguments, "--out", tmp_path / "out", "--json")
    answer = json.loads(done.out)
    assert answer["excluded"] == {"odd": 1, "seborrheic_keratosis": 8}
    assert [Path(path).name for path in answer["unreadable"]] in ([], ["image_020.png"])
    assert answer["images"] == 24 - 9 - len(answer["unreadable"])
    assert answer["absent"] == ["seborrheic_keratosis"]


@pytest.mark.usefixtures("at_hand")
def test_the_text_shows_metrics_origin_and_limits(
    data: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    (data / "images" / "image_001.png").write_bytes(b"")
    edit_manifest(data, "image_002,image_002,melanoma", "image_002,image_002,bcc")
    done = command(
        cli.main, capsys, "evaluate", data, "--model", "m", "--skip-bad", "--out", tmp_path / "out"
    )
    for message in (
        "EfficientNetB7, round 7, from 15 images of 1 clinic)",
        "22 images evaluated",
        "Balanced accuracy",
        "Confusion matrix",
        "Alert for melanoma, at a probability of",
        "Number needed to biopsy",
        "A biopsy of every lesion",
        "does not know their diagnosis: 1 bcc",
        "Skipped 1 unreadable images, the first: ",
        "image_001.png (The image file is empty)",
        "Research use only; not a medical device.",
    ):
        assert message in done.out


def test_a_federated_model_names_its_clinics(
    loaded: keras.Model, data: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As fl-server export writes it: the server knows the counts of all clinics together only.
    card = replace(CARD, data={"clinics": ["graz", "linz"], "training_images": {"nevus": 30, "melanoma": 9}})
    monkeypatch.setattr("dermafed.client.evaluation.evaluate.load_model", lambda _: (loaded, card))
    monkeypatch.setenv("COLUMNS", "120")
    done = command(cli.main, capsys, "evaluate", data, "--model", "m", "--out", tmp_path / "out")
    assert done.code == 0, done.err
    assert "round 7, from 39 images of 2 clinics)" in done.out


def test_metadata_enters_a_model_that_uses_it(
    data: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = replace(CARD, model=replace(CARD.model, metadata=True))
    inputs = [keras.Input((32, 32, 3)), keras.Input((10,))]
    only_age = keras.layers.Dense(3, "softmax")(keras.layers.Lambda(lambda m: m[:, :1])(inputs[1]))
    monkeypatch.setattr(
        "dermafed.client.evaluation.evaluate.load_model", lambda _: (keras.Model(inputs, only_age), card)
    )
    table = (data / "metadata.csv").read_text().splitlines()
    ages = ["age", *(str(20 + 10 * (n % 2)) for n in range(24))]
    (data / "metadata.csv").write_text(
        "\n".join(f"{line},{age}" for line, age in zip(table, ages, strict=True))
    )
    done = command(cli.main, capsys, "evaluate", data, "--model", "m", "--out", tmp_path / "out")
    assert done.code == 0, done.err
    rows = [
        tuple(row[name] for name in LABELS) for row in read_predictions(tmp_path / "out" / "predictions.csv")
    ]
    assert len(set(rows)) == 2
    assert rows[0] == rows[2] != rows[1]


@pytest.mark.usefixtures("at_hand")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--classes", "cancer=melanoma,nevus=nevus"), "'cancer', which is not a class of the model"),
        (("--classes", "melanoma=nevus,nevus=blue"), "'blue'"),
        (("--classes", "melanoma+"), "malformed"),
    ],
)
def test_classes_that_do_not_fit_are_refused(
    data: Path, tmp_path: Path, capsys: Capture, arguments: tuple[str, ...], message: str
) -> None:
    assert message in refusal(capsys, tmp_path, data, "--model", "m", *arguments)


@pytest.mark.usefixtures("at_hand")
def test_an_unknown_label_and_a_bad_image_are_named(data: Path, tmp_path: Path, capsys: Capture) -> None:
    image = data / "images" / "image_003.png"
    image.write_bytes(image.read_bytes()[:50])
    assert "image_003.png" in refusal(capsys, tmp_path, data, "--model", "m")
    edit_manifest(data, "image_003,image_003,melanoma", "image_003,image_003,melonoma")
    assert "'melonoma'" in refusal(capsys, tmp_path, data, "--model", "m")


@pytest.mark.usefixtures("at_hand")
def test_the_columns_may_be_named(data: Path, tmp_path: Path, capsys: Capture) -> None:
    edit_manifest(data, "image_id", "Bild")
    edit_manifest(data, "diagnosis", "Befund")
    assert "no image column" in refusal(capsys, tmp_path, data, "--model", "m")
    named = ("--image", "bild", "--label", "Befund")
    assert "no column 'Diagnose'" in refusal(capsys, tmp_path, data, "--model", "m", *named[:3], "Diagnose")
    done = command(
        cli.main, capsys, "evaluate", data, "--model", "m", *named, "--out", tmp_path / "out", "--json"
    )
    assert json.loads(done.out)["images"] == 24, done.err


@pytest.mark.usefixtures("at_hand")
def test_bad_rows_are_left_out_on_request_and_counted(data: Path, tmp_path: Path, capsys: Capture) -> None:
    edit_manifest(data, "image_003,image_003,melanoma", "image_003,image_003,melanoma,,,,,,,,")
    assert "row 5" in refusal(capsys, tmp_path, data, "--model", "m")
    arguments = ("--model", "m", "--skip-bad", "--out", tmp_path / "out", "--json")
    answer = json.loads(command(cli.main, capsys, "evaluate", data, *arguments).out)
    assert answer["images"] == 23
    assert any("bad entry" in note and "row 5" in note for note in answer["notes"])


@pytest.mark.usefixtures("at_hand")
def test_images_of_one_class_only_are_refused(tmp_path: Path, capsys: Capture) -> None:
    one = draw_dataset(tmp_path / "one", labels=["nevus"])
    assert "only 1 of the classes" in refusal(capsys, tmp_path, one, "--model", "m")


def test_missing_data_and_models_are_named(data: Path, tmp_path: Path, capsys: Capture) -> None:
    missing = tmp_path / "nowhere"
    assert str(missing) in refusal(capsys, tmp_path, missing, "--model", "m")
    assert str(missing) in refusal(capsys, tmp_path, data, "--model", missing)


@pytest.mark.parametrize(("suffix", "content"), [(".keras", b"no zip"), (".json", b"{}"), (".json", None)])
def test_a_damaged_model_is_named(
    model: Path, data: Path, tmp_path: Path, capsys: Capture, suffix: str, content: bytes | None
) -> None:
    for path in (model, model.with_suffix(".json")):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    damaged = (tmp_path / model.name).with_suffix(suffix)
    damaged.unlink()
    if content is not None:
        damaged.write_bytes(content)
    assert str(damaged) in refusal(capsys, tmp_path, data, "--model", tmp_path / model.name)


def test_a_folder_in_use_is_left_alone(data: Path, tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "predictions.csv").write_text("of another model")
    message = refusal(capsys, tmp_path, data, "--model", "m")
    assert "in use" in message
    assert (tmp_path / "out" / "predictions.csv").read_text() == "of another model"


def test_a_folder_that_cannot_be_made_is_named_at_once(data: Path, tmp_path: Path, capsys: Capture) -> None:
    out = data / "metadata.csv" / "out"
    done = command(cli.main, capsys, "evaluate", data, "--model", "m", "--out", out)
    assert done.code == 2
    assert str(out) in done.err


@pytest.mark.usefixtures("at_hand")
def test_a_full_disk_leaves_neither_file(
    data: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, _: object) -> NoReturn:
        raise DermaFedError(
            "Cannot write: No space left on device", where=path, remedy="Free some disk space"
        )

    monkeypatch.setattr("dermafed.client.evaluation.evaluate.write_json", full)
    done = command(cli.main, capsys, "evaluate", data, "--model", "m", "--out", tmp_path / "out")
    assert done.code == 1
    assert "No space left on device" in done.err
    assert not (tmp_path / "out").exists()


@needs_real_images
@pytest.mark.usefixtures("at_hand")
def test_real_images_are_evaluated_by_diagnosis(tmp_path: Path, capsys: Capture) -> None:
    data = real_dataset(tmp_path / "data", lesions=2, clinics=["one"])
    done = command(cli.main, capsys, "evaluate", data, "--model", "m", "--out", tmp_path / "out", "--json")
    answer = json.loads(done.out)
    assert {name: own["support"] for name, own in answer["per_class"].items()} == dict.fromkeys(LABELS, 2)
    assert any("approximation" in note for note in answer["notes"])


def test_labelme_becomes_coco(tmp_path: Path, capsys: Capture) -> None:
    folder = tmp_path / "labelme"
    draw_image(folder / "a.png", 1)
    square: dict[str, Any] = {"label": "nevus", "shape_type": "rectangle", "points": [[5, 6], [15, 26]]}
    document = {"imagePath": "a.png", "imageWidth": 40, "imageHeight": 40, "shapes": [square], "flags": {}}
    (folder / "a.json").write_text(json.dumps(document))
    done = command(cli.main, capsys, "convert", folder, tmp_path / "coco.json")
    assert (done.code, done.out) == (0, "")
    coco = json.loads((tmp_path / "coco.json").read_text())
    assert [annotation["bbox"] for annotation in coco["annotations"]] == [[5, 6, 10, 20]]
    again = command(cli.main, capsys, "convert", folder, tmp_path / "coco.json")
    assert again.code == 2
    assert "coco.json" in again.err
    assert command(cli.main, capsys, "convert", tmp_path / "nowhere", tmp_path / "b.json").code == 2
