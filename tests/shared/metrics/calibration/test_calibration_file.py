from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import softmax

from dermafed.shared.errors import ModelError
from dermafed.shared.metrics.calibration.calibration import Calibration
from dermafed.shared.metrics.calibration.calibration_file import (
    calibration_files,
    load_calibration,
    save_calibration,
    to_document,
)
from dermafed.shared.metrics.calibration.out_of_distribution import OutOfDistribution
from dermafed.shared.metrics.decision.alert_rule import fit_alert_rule
from dermafed.shared.metrics.decision.decision_settings import DecisionSettings
from dermafed.shared.metrics.decision.lesion_scores import lesion_scores
from tests.shared.metrics.calibration.sample_calibration import drawn, fitted
from tests.shared.metrics.calibration.test_out_of_distribution import K, features

SHA = "0" * 64


def with_rule() -> Calibration:
    return replace(fitted(), out_of_distribution=OutOfDistribution.fit(features(100, 0), features(50, 1)))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return tmp_path / "model.keras"


def test_results_for_one_image(model: Path) -> None:
    calibration, (logits, _) = with_rule(), drawn(1, 9)
    probabilities = calibration.probabilities(logits[0])
    assert probabilities == pytest.approx(softmax(logits[0].astype(float) / calibration.sums.temperature))
    assert calibration.unsure(np.array([0.34, 0.33, 0.33]))
    assert not calibration.unsure(np.array([1.0, 0.0, 0.0]))
    near, far = np.full(K, 3, np.float32), np.eye(K, dtype=np.float32)[0]
    assert [
        calibration.is_out_of_distribution(calibration.out_of_distribution_score(each) or 0)
        for each in (near, far)
    ] == [False, True]
    alone = fitted()
    assert alone.out_of_distribution_score(near) is None
    assert not alone.is_out_of_distribution(1e9)


def test_a_saved_calibration_is_loaded_again(model: Path) -> None:
    written = with_rule()
    save_calibration(model, written)
    read = load_calibration(model, SHA)
    assert read is not None
    assert read.out_of_distribution is not None
    assert written.out_of_distribution is not None
    logits, image = drawn(1, 9)[0][0], features(1, 3)[0]
    assert (read.probabilities(logits) == written.probabilities(logits)).all()
    assert read.out_of_distribution_score(image) == written.out_of_distribution_score(image)
    assert read.out_of_distribution.threshold == written.out_of_distribution.threshold
    assert read.selection == written.selection
    assert read.sums.after.error == written.sums.after.error
    assert {path.stat().st_mode & 0o777 for path in calibration_files(model)} == {0o600}


def test_without_a_detector_there_are_no_arrays(model: Path) -> None:
    save_calibration(model, fitted())
    read = load_calibration(model, SHA)
    assert read is not None
    assert read.out_of_distribution is None
    assert not calibration_files(model)[1].exists()


def with_alert() -> Calibration:
    labels, scores = drawn(200, 5)[1], np.random.default_rng(1).dirichlet([1, 1, 1], 200)
    return replace(with_rule(), alert=fit_alert_rule(lesion_scores(labels, scores, 0), DecisionSettings()))


def test_a_clinics_alert_is_saved_beside_what_travels(model: Path) -> None:
    save_calibration(model, written := with_alert())
    read = load_calibration(model, SHA)
    assert read is not None
    assert read.alert == written.alert
    values = json.loads(calibration_files(model)[0].read_text())
    assert values["figures"]["alert"]["alerts"] == values["alert"]["alerts"]
    # The federation's calibration, and its files of before, have none.
    assert "alert" not in to_document(fitted())
    assert "alert" not in to_document(fitted())["figures"]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("alert.threshold", None),
        ("alert.threshold", 2.0),
        ("alert.alerts.found", 999),
        ("alert.settings.prevalence", 1),
    ],
)
def test_a_damaged_alert_is_refused(model: Path, path: str, value: Any) -> None:
    save_calibration(model, with_alert())
    damage(model, path, value)
    with pytest.raises(ModelError, match="cannot be read"):
        load_calibration(model, SHA)


def test_without_a_file_there_is_no_calibration(model: Path) -> None:
    assert load_calibration(model, SHA) is None


def test_the_file_has_the_metrics_before_and_after(model: Path) -> None:
    save_calibration(model, calibration := with_rule())
    metrics = json.loads(calibration_files(model)[0].read_text())["figures"]
    assert metrics["images"] == 400
    assert metrics["before"]["expected_calibration_error"] == calibration.sums.before.error
    assert metrics["after"]["log_loss"] < metrics["before"]["log_loss"]
    assert sum(bar["images"] for bar in metrics["after"]["bins"]) == 400
    assert metrics["unsure"]["coverage"] >= 0.8


def test_another_models_file_is_refused(model: Path) -> None:
    save_calibration(model, fitted())
    with pytest.raises(ModelError, match="another model"):
        load_calibration(model, "1" * 64)


def damage(model: Path, path: str, value: Any) -> None:
    """Change a value in a model's calibration file."""
    file = calibration_files(model)[0]
    values = json.loads(file.read_text())
    change(values, path, value)
    file.write_text(json.dumps(values))


def change(values: dict[str, Any], path: str, value: Any) -> None:
    *parents, last = path.split(".")
    for name in parents:
        values = values[name]
    if value is None:
        del values[last]
    else:
        values[last] = value


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("format", 2),
        ("sums", None),
        ("sums.temperature", "warm"),
        ("sums.temperature", -1.0),
        ("sums.losses", [1.0] * 3),
        ("sums.after.images", [[1.5]]),
        ("sums.after.correct", [[10**9] * 60] * 3),
        ("classes", ["melanoma"]),
        ("clinics", 0),
        ("outside.sha256", "f" * 64),
        ("outside.threshold", float("inf")),
    ],
)
def test_a_damaged_file_is_refused(model: Path, path: str, value: Any) -> None:
    save_calibration(model, with_rule())
    damage(model, path, value)
    with pytest.raises(ModelError, match="cannot be read"):
        load_calibration(model, SHA)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b"null", b'{"format": 1}'])
def test_a_file_of_something_else_is_refused(model: Path, content: bytes) -> None:
    calibration_files(model)[0].write_bytes(content)
    with pytest.raises(ModelError, match="cannot be read"):
        load_calibration(model, SHA)


def test_arrays_that_are_gone_or_damaged_are_named(model: Path) -> None:
    save_calibration(model, with_rule())
    arrays = calibration_files(model)[1]
    arrays.write_bytes(arrays.read_bytes()[:-10])
    with pytest.raises(ModelError, match="cannot be read"):
        load_calibration(model, SHA)
    arrays.unlink()
    with pytest.raises(ModelError, match="missing") as refused:
        load_calibration(model, SHA)
    assert refused.value.where == str(arrays)
