"""A clinic that wants to decide which model is best, or to end the run, by what it measured."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from flwr.app import MetricRecord, RecordDict

from dermafed.server.rounds.clinic_round import ClinicRound
from dermafed.server.rounds.history import HistoryRow, best_round
from dermafed.shared.metrics.evaluation import ClinicEvaluation
from dermafed.shared.protocol.messages import encode_evaluation, encode_update
from dermafed.shared.training.trainer import FloatVector, Update
from tests.attacks.hostile_clinic import MEMBERS, OPEN, app_of, replying, run
from tests.server.small_clinics import CLASSES


def all_right(images: int, *, wrong: bool = False) -> RecordDict:
    """An evaluation of so many images, all of them right, or all wrong."""
    labels = np.arange(images) % CLASSES
    said = (labels + 1) % CLASSES if wrong else labels
    scores = np.eye(CLASSES)[said]
    return encode_evaluation(ClinicEvaluation.from_predictions(labels, scores), 0.0)


@pytest.mark.parametrize("wrong", [False, True])
def test_an_evaluation_of_many_images_does_not_decide(tmp_path: Path, wrong: bool) -> None:
    hostile = app_of(evaluate=replying(lambda sent: all_right(999_999, wrong=wrong)))
    honest = run(tmp_path / "honest", app_of()).history[0]
    row = run(tmp_path / "attacked", hostile).history[0]
    # graz told 23 images of 90; no more of the result is its own.
    for name in ("validation_accuracy", "validation_balanced_accuracy"):
        assert abs(getattr(row, name) - getattr(honest, name)) <= 23 / 60
    open_row = run(tmp_path / "open", hostile, members=None, **OPEN).history[0]
    assert abs(open_row.validation_accuracy - (0 if wrong else 1)) < 1e-3


def test_a_class_that_only_one_clinic_claims_to_have_many_of_is_capped(tmp_path: Path) -> None:
    """All its images of one class: its recall counts by half at most."""

    def one_class(sent: FloatVector) -> RecordDict:
        labels = np.zeros(22, np.int64)
        return encode_evaluation(ClinicEvaluation.from_predictions(labels, np.eye(CLASSES)[labels + 1]), 0.0)

    members = {**MEMBERS, "graz": replace(MEMBERS["graz"], images=10_000)}
    hostile = app_of(evaluate=replying(one_class))
    defended = run(tmp_path / "defended", hostile, members=members).history[0]
    undefended = run(tmp_path / "open", hostile, members=members, **OPEN).history[0]
    assert defended.validation_balanced_accuracy > undefended.validation_balanced_accuracy


def row(round: int, score: float, *own: float) -> HistoryRow:
    clinics = tuple(ClinicRound(name, balanced_accuracy=each) for name, each in zip("abc", own, strict=True))
    return HistoryRow(round, 1, 1, 1, score, 0.5, 3, "", 1, 0, clinics)


def test_a_round_that_is_worse_at_most_clinics_is_not_the_best() -> None:
    good, bad = row(1, 0.7, 0.7, 0.7, 0.7), row(2, 0.9, 0.6, 0.6, 1.0)
    assert best_round([good, bad]) == 1
    assert best_round([good, row(2, 0.9, 0.6, 0.8, 1.0)]) == 2
    without = [replace(each, clinics=()) for each in (good, bad)]  # as version 0.1.0 recorded
    assert best_round(without) == 2


LOSSES = [1e308, -1e308, float("inf"), float("nan"), 1e7, -1.0]


@pytest.mark.parametrize("loss", LOSSES)
def test_no_training_loss_ends_the_run(tmp_path: Path, loss: float) -> None:
    hostile = app_of(
        train=replying(lambda sent: encode_update(Update(sent, MEMBERS["graz"].weight, {"loss": loss}), 0.0))
    )
    state = run(tmp_path, hostile, rounds=2)
    for each in state.history:
        assert each.replied == 2
        assert each.left_out.startswith("graz: its metric 'loss' is ")
        assert np.isfinite(each.train_loss)


@pytest.mark.parametrize("field", ["loss_sum", "seconds", "images"])
@pytest.mark.parametrize("value", [1e308, -1e308, float("inf"), float("nan"), 2**62])
def test_no_number_of_an_evaluation_ends_the_run(tmp_path: Path, field: str, value: float) -> None:
    def forge(sent: FloatVector) -> RecordDict:
        content = all_right(20)
        report = dict(content["report"])
        content["report"] = MetricRecord({**report, field: value})
        return content

    state = run(tmp_path, app_of(evaluate=replying(forge)), rounds=2)
    if not (field == "seconds" and 0 <= value < float("inf")):  # more seconds than have passed count as those
        assert all("graz: " in each.left_out for each in state.history)
    for each in state.history:
        assert np.isfinite([each.validation_loss, each.seconds, each.overhead_seconds]).all()
