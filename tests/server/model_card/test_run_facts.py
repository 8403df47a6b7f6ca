"""The card of a simulation: its metrics, read as the Hugging Face Hub does and as a person does."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from huggingface_hub import ModelCard

from dermafed.server.model_card.card_writer import card_text, write_card
from dermafed.server.model_card.run_facts import simulated_facts
from dermafed.shared.errors import DermaFedError
from dermafed.shared.metrics.calibration.calibration_file import save_calibration
from dermafed.shared.metrics.calibration.class_offsets import ClassOffsets
from dermafed.shared.metrics.calibration.offset_fit import FittedOffsets
from dermafed.shared.metrics.decision.alert_rule import AlertRule
from dermafed.shared.metrics.decision.decision_settings import DecisionSettings
from dermafed.shared.metrics.decision.score_counts import Alerts
from dermafed.shared.metrics.decision.score_histogram import ScoreHistogram
from tests.server.model_card.simulated_run import NORTH, SOUTH, WEIGHTS, result, simulation
from tests.shared.metrics.calibration.sample_calibration import fitted
from tests.shared.metrics.decision.sample_lesions import two_classes


def text_of(run: Path) -> str:
    return card_text(simulated_facts(run))


def row(text: str, start: str) -> list[str]:
    (line,) = (line for line in text.splitlines() if line.startswith(f"| {start} |"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_the_hub_reads_the_metrics_of_every_test(tmp_path: Path) -> None:
    markdown, *_ = write_card(tmp_path, simulated_facts(simulation(tmp_path / "run")))
    data = ModelCard.load(markdown).data
    assert (data.license, data.library_name, data.pipeline_tag) == (
        "unknown",
        "keras",
        "image-classification",
    )
    assert data.model_name == "Federation of two"
    found = {
        (line.dataset_name, line.metric_type): line.metric_value
        for line in data.eval_results
        if line.dataset_split == "test"
    }
    assert found["Test images of north", "balanced_accuracy"] == 0.7  # (4/5 + 3/5) / 2
    assert found["Test images of south", "balanced_accuracy"] == 0.6  # (1/5 + 15/15) / 2
    assert found["Test images of all clinics", "balanced_accuracy"] == 0.7  # (5/10 + 18/20) / 2
    assert found["Test images of all clinics", "accuracy"] == 0.7667  # 23 of 30
    assert len(found) == 3 * 4


def test_people_read_the_same_with_intervals(tmp_path: Path) -> None:
    text = text_of(simulation(tmp_path))
    name, images, melanomas, balanced, _, accuracy, _ = row(text, "all clinics")
    assert (name, images) == ("all clinics", "30")
    assert balanced.startswith("0.700 (0.")
    assert accuracy == "0.767 (0.591–0.882)"  # Wilson's of 23 of 30
    assert melanomas == "0.500"
    assert row(text, "south | 20")[2] == "0.200"  # of 5 melanomas
    assert "| nevus | 200 | nv, nevi |" in text
    assert "| melanoma | 5 | 5 |" in text  # the confusion matrix
    assert "Of 10 test images of melanoma it finds 5." in text
    assert "on the test images of south its balanced accuracy is 0.600, on all together 0.700" in text
    assert "all clinics' test images: 0.125 (0.100–0.200)" in text
    assert row(text, "epochs") == ["epochs", "0.5"]


def test_no_image_no_person_and_no_folder_is_named(tmp_path: Path) -> None:
    for file in write_card(tmp_path, simulated_facts(simulation(tmp_path / "run"))):
        text = file.read_text("utf-8")
        for secret in ("Mustermann", "ISIC", "first.h5", "/data", str(tmp_path)):
            assert secret not in text, (file, secret)


def test_small_cells_are_not_published(tmp_path: Path) -> None:
    content = result({"north": NORTH, "south": "mm mm mn nn nn nn nm"})
    content["clinics"][1]["images"] = {"melanoma": 4, "nevus": 5}
    facts = simulated_facts(simulation(tmp_path, content))
    text = card_text(facts)
    # With the 17 of all and north's 10 anybody could calculate south's 7, and its right answers.
    assert not any(line.startswith(("| north | 1", "| south | 7")) for line in text.splitlines())
    assert "| all clinics | 17 |" in text
    assert "There are too few test images to report by clinic" in text
    assert "Clinics differ" not in text
    # 9 images at south: north's 200 are not published either, or the classes' sum would give south's away.
    assert "| north | not published |\n| south | not published |" in text
    markdown, *_ = write_card(tmp_path, facts)
    head = str(ModelCard.load(markdown).data.to_dict())
    assert "all clinics" in head
    assert "north" not in head
    assert "south" not in head


def test_with_fewer_than_ten_test_images_no_metric_is_published(tmp_path: Path) -> None:
    text = text_of(simulation(tmp_path, result({"north": "mm mm mn nn"})))
    assert "There are too few test images to report." in text
    assert "0.750" not in text


def test_a_mean_over_classes_does_not_rest_on_one_melanoma(tmp_path: Path) -> None:
    content = result({"north": NORTH, "west": "mn " + "nn " * 14})
    facts = simulated_facts(simulation(tmp_path, content))
    west = row(card_text(facts), "west | 15")
    assert (west[2], west[3], west[4], west[6]) == ("too few",) * 4
    assert west[5].startswith("0.933 (")
    markdown, *_ = write_card(tmp_path, facts)
    found = {
        line.metric_type: line.metric_value
        for line in ModelCard.load(markdown).data.eval_results
        if line.dataset_name == "Test images of west"
    }
    assert found == {"accuracy": 0.9333}


def test_a_simulation_says_that_it_is_one(tmp_path: Path) -> None:
    text = text_of(simulation(tmp_path))
    assert "**simulated on one machine**, which had all images; clinics: 2 (`iid:2`)" in text
    assert "images stayed at" not in text


def test_metrics_of_models_that_are_not_in_the_file_are_not_given_as_its_own(tmp_path: Path) -> None:
    content = result({"north": NORTH, "south": SOUTH})
    content["settings"]["batch_norm"] = "local"
    markdown, *_ = write_card(tmp_path, simulated_facts(simulation(tmp_path / "run", content)))
    assert "**These are metrics of other models than the one in the file:**" in markdown.read_text("utf-8")
    assert ModelCard.load(markdown).data.to_dict()["model-index"][0]["results"] == []


def test_a_class_with_few_test_images_is_not_broken_down(tmp_path: Path) -> None:
    text = text_of(simulation(tmp_path, result({"north": "mm mm mm mn " + "nn " * 10})))
    assert "There are too few test images to report by class." in text
    assert "it finds" not in text
    assert "called" not in text


def test_the_alert_of_the_calibration_is_published(tmp_path: Path) -> None:
    run = simulation(tmp_path)
    rule = AlertRule(DecisionSettings(prevalence=0.1), 0.25, Alerts(40, 38, 100, 30), (0.0,) * 3)
    calibration = replace(fitted(), model=hashlib.sha256(WEIGHTS.tobytes()).hexdigest(), alert=rule)
    save_calibration(run / "model.keras", calibration)
    text = text_of(run)
    assert "Alert for melanoma at a probability of 0.250 or more, on 40 validation melanomas" in text
    # 0.95 of 0.1 among alerts, and 0.3 of 0.9: 0.365 / 0.095 alerts for a melanoma.
    assert "sensitivity 0.950 (0.831" in text
    assert "number needed to biopsy 3.842 (" in text
    assert rule.promise.sentence in text
    save_calibration(run / "model.keras", replace(calibration, alert=None))
    assert "Alert for melanoma" not in text_of(run)


def test_what_one_threshold_for_all_clinics_does_is_published(tmp_path: Path) -> None:
    run = simulation(tmp_path)
    calibration = replace(
        fitted(),
        model=hashlib.sha256(WEIGHTS.tobytes()).hexdigest(),
        federation=FittedOffsets(ClassOffsets.none(3), (9, 9, 9), 0.5, 5, 3, True),
        scores=ScoreHistogram.of(two_classes(np.full(20, 0.7005), np.full(40, 0.3))),
    )
    save_calibration(run / "model.keras", calibration)
    text = text_of(run)
    assert "at 0.700 or more, of 20 melanomas and 40 other lesions, sensitivity 1.000 (0.832" in text
    assert "Cannot be promised here: 20 melanomas, at least 29 are needed." in text
    benign = ScoreHistogram.of(two_classes(np.zeros(0), np.full(40, 0.3)))
    save_calibration(run / "model.keras", replace(calibration, scores=benign))
    text = text_of(run)
    assert "equally frequent: Cannot be promised here: 0 melanomas" in text


def test_the_calibration_of_this_model_is_published_and_that_of_another_is_refused(tmp_path: Path) -> None:
    run = simulation(tmp_path)
    calibration = replace(fitted(), model=hashlib.sha256(WEIGHTS.tobytes()).hexdigest())
    save_calibration(run / "model.keras", calibration)
    published = row(text_of(run), f"at the temperature {calibration.sums.temperature:.3f}")
    assert published[1].startswith(f"{calibration.sums.after.error:.3f} (")
    assert published[2] == f"{calibration.sums.loss_after:.3f}"
    save_calibration(run / "model.keras", fitted())
    with pytest.raises(DermaFedError, match="belongs to another model"):
        simulated_facts(run)


def test_explanations_are_published_with_what_is_better(tmp_path: Path) -> None:
    content = result({"north": NORTH, "south": SOUTH})
    measure = {"count": 20, "mean": 0.25, "interval": {"low": 0.2, "high": 0.3}}
    content["explanations"] = {"all": {"images": 20, "measures": {"deletion": measure}}}
    assert row(text_of(simulation(tmp_path, content)), "deletion") == [
        "deletion",
        "0.250 (0.200–0.300)",
        "low",
    ]


def test_an_unfinished_run_and_damage_are_refused(tmp_path: Path) -> None:
    run = simulation(tmp_path)
    path = run / "result.json"
    content = json.loads(path.read_text())
    del content["federated"]["test"]
    for damage in ("{", "[]", json.dumps(content)):
        path.write_text(damage)
        with pytest.raises(DermaFedError, match=r"result.json or model.json cannot be read"):
            simulated_facts(run)
    path.unlink()
    with pytest.raises(DermaFedError, match="not finished"):
        simulated_facts(run)


def test_a_model_file_that_is_lost_is_named(tmp_path: Path) -> None:
    run = simulation(tmp_path)
    (run / "model.json").unlink()
    with pytest.raises(DermaFedError, match=r"result.json or model.json cannot be read"):
        simulated_facts(run)


def test_groups_are_those_of_the_row_in_its_study(tmp_path: Path) -> None:
    run = simulation(tmp_path / "runs" / "with-BM3D-and-CLAHE" / "seed-1")
    interval = {"value": 0.625, "low": 0.5, "high": 0.75}
    line = {"kind": "group", "row": "with BM3D and CLAHE", "arm": "federated", "attribute": "age"}
    published = {"group": "40-59", "images": 44, "balanced_accuracy": interval, "calibration_error": None}
    hidden = {"group": "80-", "images": None, "balanced_accuracy": None, "calibration_error": None}
    others = ({"row": "plain"}, {"arm": "pooled"}, {"kind": "gap"})
    lines = [line | own | {"melanoma_sensitivity": None} for own in (published, hidden)]
    lines += [lines[0] | {"group": "of another"} | other for other in others]
    (tmp_path / "fairness.json").write_text(json.dumps({"title": "", "lines": lines}))
    text = text_of(run)
    assert row(text, "age: 40-59")[1:] == ["44", "0.625 (0.500–0.750)", "–", "–"]
    assert row(text, "age: 80-")[1:] == ["not published", "–", "–", "–"]
    assert "of another" not in text
    run = simulation(tmp_path / "alone")
    (run / "fairness.json").write_text(json.dumps({"title": "", "lines": [lines[0] | {"row": "this run"}]}))
    assert row(text_of(run), "age: 40-59")[1] == "44"
    run = tmp_path / "runs" / "with-BM3D-and-CLAHE" / "seed-1"
    (tmp_path / "fairness.json").write_text("[]")
    with pytest.raises(DermaFedError, match="by group cannot be read"):
        simulated_facts(run)
