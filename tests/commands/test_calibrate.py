"""``fl-client calibrate``: metrics that another program finds too, and what is refused."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from scipy.optimize import minimize

from dermafed.client import cli
from dermafed.client.clinic.diagnosis.opened_model import open_model
from dermafed.client.node.clinic_data import ClinicData, OfferFolder, split_clinic_data
from dermafed.client.node.home import Home
from dermafed.client.node.saved_models import save_last_model
from dermafed.shared.imaging.decoding import read_image
from dermafed.shared.imaging.pipeline import preprocess
from dermafed.shared.lesions.readers.loading import load_dataset
from dermafed.shared.metrics.calibration.calibration_file import calibration_files, load_calibration
from dermafed.shared.model.classifier import build_classifier, to_flat
from dermafed.shared.model.model_file import load_model, save_model
from tests.client import planted_clinic as clinics
from tests.commands.small_datasets import LABELS, command, draw_dataset
from tests.commands.test_evaluate import CARD, Capture
from tests.shared.lesions.dataset_files import split_records
from tests.shared.training.tiny import tiny_backbones

pytestmark = pytest.mark.journey

OFFER = clinics.offer(name="spring", model=CARD.model, preprocess=CARD.preprocess)


@pytest.fixture(scope="module", autouse=True)
def _tiny() -> Iterator[None]:
    with tiny_backbones():
        yield


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of random weights, whose logits differ so much that it is overconfident."""
    path = tmp_path_factory.mktemp("model") / "model.keras"
    keras.utils.set_random_seed(3)
    classifier = build_classifier(CARD.model)
    logits = classifier.get_layer("logits")
    kernel, _ = logits.get_weights()
    # The features of a network that has seen no image are small.
    logits.set_weights([-100 * kernel, np.zeros(len(LABELS), np.float32)])
    save_model(path, to_flat(classifier), CARD)
    return path


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_dataset(tmp_path_factory.mktemp("data") / "north", ["north"], lesions=80)


def expected(model: Path, data: Path) -> tuple[float, Any, int]:
    """By Keras and scipy, one validation image at a time."""
    classifier, card = load_model(model)
    records = split_records(load_dataset(data).records, seed=0).validation
    rows = []
    for record in records:
        image = preprocess(read_image(record.path), card.preprocess).image
        scores = np.asarray(classifier(image[None].astype(np.float32), training=False))[0]
        rows.append((np.log(scores.astype(np.float64)), LABELS.index(record.label)))

    def loss(x: Any) -> float:
        scaled = [(x[0] * (scores - scores.mean()) + x[1:], label) for scores, label in rows]
        summed = sum(
            np.log(np.exp(each - each.max()).sum()) + each.max() - each[label] for each, label in scaled
        )
        return float(summed + 5 * ((x[0] - 1) ** 2 + (x[1:] ** 2).sum()))

    best = minimize(
        loss,
        [1.0] + [0.0] * len(LABELS),
        method="Nelder-Mead",
        options=dict.fromkeys(("xatol", "fatol"), 1e-7) | {"maxiter": 4000},
    ).x
    return 1 / best[0], best[1:], len(records)


def test_temperature_and_offsets_are_those_that_scipy_finds(model: Path, data: Path, capsys: Capture) -> None:
    done = command(cli.main, capsys, "calibrate", "--model", model, "--data", data, "--json")
    assert done.code == 0, done.err
    metrics = json.loads(done.out)
    temperature, offsets, images = expected(model, data)
    assert metrics["images"] == images
    assert metrics["temperature"] == pytest.approx(temperature, rel=0.02)
    assert list(metrics["offsets"]["offsets"].values()) == pytest.approx(offsets, abs=0.02)
    assert metrics["after"]["log_loss"] <= metrics["before"]["log_loss"]
    assert metrics["outside"]["images"] == images
    opened = open_model(str(model))
    calibration = load_calibration(opened.file, opened.used.sha256)
    assert calibration is not None
    assert calibration.sums.temperature == metrics["temperature"]


def test_the_alert_is_the_clinics_choice(home: Home, model: Path, data: Path, capsys: Capture) -> None:
    """Melanoma's threshold is the lowest of the validation melanomas' scores, at the clinic's prevalence."""
    table = "[decision]\nsensitivity = 1\nprevalence = 0.02\nbiopsies_per_melanoma = 19\n"
    home.settings_file.write_text(f"{home.settings_file.read_text()}\n{table}")
    done = command(
        cli.main, capsys, "calibrate", "--model", model, "--data", data, "--dir", home.folder, "--json"
    )
    assert done.code == 0, done.err
    alert = json.loads(done.out)["alert"]
    assert alert["sensitivity"]["value"] == 1
    assert (alert["prevalence"], alert["threshold_probability"]) == (0.02, 0.05)
    validation = split_records(load_dataset(data).records, seed=0).validation
    assert alert["alerts"]["melanomas"] == len({r.group for r in validation if r.label == "melanoma"})
    opened = open_model(str(model))
    calibration = load_calibration(opened.file, opened.used.sha256)
    assert calibration is not None
    classifier, card = load_model(model)
    scores = []
    for record in validation:
        image = preprocess(read_image(record.path), card.preprocess).image
        row = np.log(np.asarray(classifier(image[None].astype(np.float32), training=False), float)[0])
        scores.append(calibration.probabilities(row)[0])
    melanomas = [
        score for score, record in zip(scores, validation, strict=True) if record.label == "melanoma"
    ]
    assert alert["threshold"] == pytest.approx(min(melanomas), abs=2e-6)
    assert calibration.alert is not None
    assert calibration.alert.threshold == alert["threshold"]


def test_evaluate_uses_the_alert_of_the_calibration(
    model: Path, data: Path, tmp_path: Path, capsys: Capture
) -> None:
    """On all images, of which the validation images are a part, one lesion an image."""
    assert command(cli.main, capsys, "calibrate", "--model", model, "--data", data).code == 0
    opened = open_model(str(model))
    calibration = load_calibration(opened.file, opened.used.sha256)
    assert calibration is not None
    assert calibration.alert is not None
    out = tmp_path / "out"
    done = command(cli.main, capsys, "evaluate", data, "--model", model, "--out", out, "--json")
    assert done.code == 0, done.err
    alert = json.loads(done.out)["alert"]
    assert alert["threshold"] == calibration.alert.threshold
    assert "of the model's calibration" in alert["note"]
    with (out / "predictions.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["label"] == "melanoma"]
    found = sum(
        calibration.probabilities(np.log([float(row[name]) for name in LABELS]))[0] >= alert["threshold"]
        for row in rows
    )
    assert alert["alerts"]["found"] == found
    calibration_files(model)[0].unlink()


def test_a_choice_out_of_range_is_named(home: Home, capsys: Capture) -> None:
    home.settings_file.write_text(f"{home.settings_file.read_text()}\n[decision]\nprevalence = 1\n")
    done = command(cli.main, capsys, "calibrate", "--model", "last", "--dir", home.folder)
    assert done.code == 2
    assert "prevalence is 1" in done.err
    assert "decision.prevalence" in done.err


def test_the_table_has_both_columns_and_the_rules(model: Path, data: Path, capsys: Capture) -> None:
    done = command(cli.main, capsys, "calibrate", "--model", model, "--data", data)
    assert done.code == 0, done.err
    for part in (
        "Before",
        "After",
        "Offsets of the classes",
        "Expected calibration error",
        "Unsure: ",
        "Out of distribution: ",
        "Alert for melanoma, at a probability of",
        "Number needed to biopsy",
        "Cannot be promised here: ",
        "Research use only",
    ):
        assert part in done.out


@pytest.fixture
def home(tmp_path: Path, data: Path, model: Path) -> Home:
    """A clinic that took a model home from a run."""
    own = clinics.clinic(tmp_path / "graz", data)
    weights = to_flat(load_model(model)[0])
    save_last_model(own.models, OFFER.hash, OFFER, weights, 3)
    return own


def test_a_saved_model_is_calibrated_on_the_validation_images_of_its_run(
    home: Home, data: Path, capsys: Capture
) -> None:
    from dermafed.client.node.offers import Offers
    from dermafed.shared.protocol.agreement import Decision, Reason

    Offers(home.offers).add(OFFER, 1, (Decision.APPROVED, Reason.NONE))
    offer_folder = OfferFolder(home.offers / OFFER.hash, "graz")
    clinic_split = split_clinic_data(ClinicData("graz", data), OFFER, offer_folder)
    done = command(cli.main, capsys, "calibrate", "--model", "last", "--dir", home.folder, "--json")
    assert done.code == 0, done.err
    metrics = json.loads(done.out)
    assert metrics["notes"] == ["Split as in the run that the model comes from"]
    assert metrics["images"] == len(clinic_split.splits.validation)
    opened = open_model("last", home)
    assert load_calibration(opened.file, opened.used.sha256) is not None


def test_the_next_rounds_model_does_not_get_the_previous_calibration(
    home: Home, model: Path, capsys: Capture
) -> None:
    assert command(cli.main, capsys, "calibrate", "--model", "last", "--dir", home.folder).code == 0
    opened = open_model("last", home)
    assert load_calibration(opened.file, opened.used.sha256) is not None
    save_last_model(home.models, OFFER.hash, OFFER, to_flat(load_model(model)[0]) + 1, 4)
    assert load_calibration(opened.file, "1" * 64) is None


def test_too_few_images_are_refused(model: Path, tmp_path: Path, capsys: Capture) -> None:
    few = draw_dataset(tmp_path / "few", ["north"], lesions=5)
    done = command(cli.main, capsys, "calibrate", "--model", model, "--data", few)
    assert (done.code, done.out) == (2, "")
    assert "too few to calibrate" in done.err


def test_a_folder_that_is_not_a_clinics_is_refused(tmp_path: Path, capsys: Capture) -> None:
    done = command(cli.main, capsys, "calibrate", "--model", "last", "--dir", tmp_path)
    assert (done.code, done.out) == (2, "")
    assert "not a clinic's folder" in done.err


def test_named_columns_belong_to_named_data(model: Path, data: Path, tmp_path: Path, capsys: Capture) -> None:
    done = command(cli.main, capsys, "calibrate", "--model", model, "--label", "Befund")
    assert done.code == 2
    assert "--image and --label belong to --data" in done.err
    done = command(cli.main, capsys, "calibrate", "--model", model, "--data", data, "--label", "Befund")
    assert "no column 'Befund'" in done.err
