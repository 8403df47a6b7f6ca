"""A calibration with offsets: what it answers, and its files."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import softmax

from dermafed.shared.errors import ModelError
from dermafed.shared.metrics.calibration.calibration import Calibration, fit_calibration
from dermafed.shared.metrics.calibration.calibration_file import (
    calibration_files,
    calibration_metrics,
    load_calibration,
    save_calibration,
    to_document,
)
from dermafed.shared.metrics.calibration.class_offsets import ClassOffsets
from dermafed.shared.metrics.calibration.network_outputs import NetworkOutputs
from dermafed.shared.metrics.calibration.offset_fit import FittedOffsets
from dermafed.shared.metrics.decision.score_histogram import ScoreHistogram
from tests.shared.metrics.calibration.sample_calibration import CLASSES, drawn
from tests.shared.metrics.decision.sample_lesions import two_classes

SHA = "0" * 64
FEDERATION = FittedOffsets(ClassOffsets(0.8, (0.5, 0.0, -0.5)), (99, 799, 99), 0.5, 5, 3, True)


def outputs(count: int, seed: int) -> NetworkOutputs:
    logits, labels = drawn(count, seed, temperature=2.0)
    logits[:, 0] += 2
    return NetworkOutputs(
        logits, np.random.default_rng(seed).normal(size=(count, 8)).astype(np.float32), labels
    )


def fitted(federation: FittedOffsets | None = FEDERATION, validation: int = 300) -> Calibration:
    return fit_calibration(SHA, CLASSES, outputs(400, 1), outputs(validation, 2), federation)


def test_a_clinics_own_offsets_are_used() -> None:
    calibration, logits = fitted(), drawn(1, 9)[0][0]
    own = calibration.own
    assert own is not None
    expected = softmax(own.point.scale * logits.astype(float) + own.point.offsets)
    assert calibration.probabilities(logits) == pytest.approx(expected)
    without = calibration.probabilities_without_prior(logits)
    assert without == pytest.approx((expected / own.shares) / (expected / own.shares).sum())
    assert calibration.point == own.point
    assert calibration.sums.after.images.sum() == own.bins.images.sum() == 300
    assert calibration.sums.loss_after < calibration.sums.loss_before


def test_the_federations_offsets_are_used_where_the_clinic_has_none() -> None:
    calibration, logits = replace(fitted(), own=None), drawn(1, 9)[0][0]
    expected = softmax(0.8 * logits.astype(float) + [0.5, 0.0, -0.5])
    assert calibration.probabilities(logits) == pytest.approx(expected)
    without = expected / [0.1, 0.8, 0.1]
    assert calibration.probabilities_without_prior(logits) == pytest.approx(without / without.sum())


def test_without_offsets_nothing_changes() -> None:
    calibration, logits = replace(fitted(), own=None, federation=None), drawn(1, 9)[0][0]
    expected = softmax(logits.astype(float) / calibration.sums.temperature)
    assert calibration.probabilities(logits) == pytest.approx(expected)
    assert calibration.probabilities_without_prior(logits) is None
    assert calibration_metrics(calibration)["offsets"] is None


def test_a_clinic_alone_is_a_federation_of_one() -> None:
    alone = fitted(None)
    assert alone.own is None
    assert alone.federation is not None
    assert (alone.federation.clinics, alone.federation.images) == (1, 300)
    # The model says 2 too much of the first class, at the temperature 2.
    offsets = np.array(alone.federation.point.offsets)
    assert offsets[0] - offsets[1:].mean() == pytest.approx(-1, abs=0.3)
    assert alone.sums.loss_after * 300 == pytest.approx(alone.federation.loss * 300, abs=0.01)
    assert alone.sums.loss_after < alone.sums.loss_before


def test_a_small_clinic_has_the_federations_rule_for_unsure() -> None:
    large, small = fitted(), fitted(validation=10)
    with_federations = replace(small, sums=large.sums)
    assert with_federations.selection == replace(large, own=None).selection
    assert (large.has_own_rule, small.has_own_rule) == (True, False)
    assert large.selection.coverage >= 0.8


@pytest.mark.parametrize("federation", [FEDERATION, None])
def test_a_saved_calibration_is_loaded_again(tmp_path: Path, federation: FittedOffsets | None) -> None:
    model, written = tmp_path / "model.keras", fitted(federation)
    save_calibration(model, written)
    read = load_calibration(model, SHA)
    assert read is not None
    logits = drawn(1, 9)[0][0]
    assert (read.probabilities(logits) == written.probabilities(logits)).all()
    assert read.federation == written.federation
    assert read.selection == written.selection
    assert (read.own is None) == (federation is None)
    assert read.sums.loss_after == written.sums.loss_after


@pytest.mark.parametrize(
    ("part", "changed"),
    [
        ("offsets", {"scale": 0.0}),
        ("offsets", {"offsets": [0.0, 0.0]}),
        ("offsets", {"counts": [0, 0, 0]}),
        ("offsets", {"loss": float("nan")}),
        ("own", {"scale": "x"}),
        ("own", {"shares": [1.0, 0.0, 0.0]}),
        ("own", {"bins": {}}),
        ("sums", {"offsets": [0.0, 0.0, 99.0]}),
        ("sums", {"offsets_loss": None}),
    ],
)
def test_damaged_offsets_are_named(tmp_path: Path, part: str, changed: dict[str, Any]) -> None:
    model = tmp_path / "model.keras"
    save_calibration(model, fitted())
    file = calibration_files(model)[0]
    document = json.loads(file.read_text())
    document[part].update(changed)
    file.write_text(json.dumps(document))
    with pytest.raises(ModelError, match="cannot be read"):
        load_calibration(model, SHA)


def test_outputs_that_are_no_numbers_are_refused() -> None:
    broken = outputs(50, 3)
    broken.logits[4, 1] = np.nan
    with pytest.raises(ModelError, match="not finite"):
        fit_calibration(SHA, CLASSES, outputs(50, 4), broken, FEDERATION)


def test_the_metrics_name_the_classes_with_few_images() -> None:
    metrics = calibration_metrics(fitted(validation=12))["offsets"]
    assert metrics["fitted_by"] == "this clinic"
    assert set(metrics["offsets"]) == set(CLASSES)
    assert set(metrics["few_images"]) <= set(CLASSES)
    assert metrics["few_images"]


SCORES = ScoreHistogram.of(two_classes(np.full(12, 0.6005), np.full(30, 0.2)))


def test_all_clinics_scores_travel_and_are_saved(tmp_path: Path) -> None:
    model = tmp_path / "model.keras"
    save_calibration(model, replace(fitted(), scores=SCORES))
    read = load_calibration(model, SHA)
    assert read is not None
    assert read.scores is not None
    assert (read.scores.counts == SCORES.counts).all()
    values = json.loads(calibration_files(model)[0].read_text())
    assert values["scores"] == {"bins": 1000, "others": {"200": 30}, "melanomas": {"600": 12}}
    # Without them, the file is that of before.
    assert "scores" not in to_document(fitted())


@pytest.mark.parametrize(
    "change",
    [
        {"scores": {"bins": 500, "others": {}, "melanomas": {}}},
        {"scores": {"bins": 1000, "others": {"1": 2.5}, "melanomas": {}}},
        {"scores": {"bins": 1000, "others": {"1000": 9}, "melanomas": {}}},
        {"scores": {"bins": 1000, "others": {"1": 9}, "melanomas": {"3": 4}}},
        {"scores": {"bins": 1000, "others": {"1": 10**30}, "melanomas": {}}},
        {"scores": [1]},
        {"offsets": None, "own": None},
    ],
)
def test_damaged_scores_are_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    model = tmp_path / "model.keras"
    save_calibration(model, replace(fitted(), scores=SCORES))
    file = calibration_files(model)[0]
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(ModelError, match="cannot be read"):
        load_calibration(model, SHA)
