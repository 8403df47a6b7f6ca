"""The last layer trained anew after FedAvg, over real Flower apps and messages, in process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import reduce
from operator import add
from pathlib import Path

import numpy as np
import pytest
from flwr.app import Context
from numpy.typing import NDArray

from dermafed.client.node.client_app import build_client_app
from dermafed.server.rounds.checkpoint import RunState, load_state
from dermafed.server.rounds.history import HistoryRow
from dermafed.server.rounds.refit_round import Refitting, not_worse, refitted
from dermafed.server.rounds.shares import Member
from dermafed.shared.errors import FederationError, SettingsError
from dermafed.shared.training.exact_head.head_sums import HeadSums
from dermafed.shared.training.exact_head.logistic import logistic_head
from dermafed.shared.training.exact_head.ridge import LinearHead, ridge_head
from dermafed.shared.training.exact_head.slope_sums import SlopeSums
from dermafed.shared.training.trainer import FloatVector
from dermafed.simulation.engines.local import run_local
from tests.server.small_clinics import CLASSES, NAMES, SIZES, Regression, lesions, server

WEIGHTS = np.array([1.2, 1.0, 1.1])
LOGISTIC, RIDGE = Refitting("logistic", 0.1), Refitting("ridge", 0.1)
MEMBERS = {name: Member(size, size) for name, size in zip(NAMES, SIZES, strict=True)}
Lie = Callable[[SlopeSums], SlopeSums]


@dataclass
class Refit(Regression):
    """Its features are the model's; its labels in training may differ."""

    wrong: int = 0
    lie: Lie = lambda sums: sums
    asked: list[str] = field(default_factory=list)

    def head_sums(self, weights: FloatVector, round: int) -> HeadSums:
        self.asked.append("sums")
        return HeadSums.of(self.features, (self.labels + self.wrong) % CLASSES, WEIGHTS)

    def head_slopes(self, weights: FloatVector, round: int, head: LinearHead) -> SlopeSums:
        self.asked.append("slopes")
        return self.lie(SlopeSums.of(self.features, (self.labels + self.wrong) % CLASSES, WEIGHTS, head))


def refit_run(folder: Path, refit: Refitting | None = LOGISTIC, **options: object) -> RunState:
    """A round of training and the last layer; options of the second clinic (wrong, lie), or of the server."""
    own = {name: options.pop(name) for name in ("wrong", "lie", "asked") if name in options}

    def trainer_for(context: Context) -> Refit:
        clinic = int(context.node_config["partition-id"])
        made = Refit(*lesions(clinic, SIZES[clinic]))
        return replace(made, **own) if clinic == 1 or "wrong" in own else made  # type: ignore[arg-type]

    app = server(folder, 1, refit=refit, **options)
    run_local(app, build_client_app(trainer_for), NAMES)
    return load_state(folder)


def expected(*clinics: int) -> NDArray[np.float64]:
    """The head of these clinics' images in one place."""
    images = [lesions(clinic, SIZES[clinic]) for clinic in clinics]
    features, labels = (np.concatenate(each) for each in zip(*images, strict=True))
    sums = HeadSums.of(features, labels, WEIGHTS)
    head = logistic_head(sums, lambda head: SlopeSums.of(features, labels, WEIGHTS, head), 0.1).head
    return np.concatenate([head.kernel.ravel(), head.bias])


def test_after_the_last_round_the_model_has_the_last_layer_of_all_images(tmp_path: Path) -> None:
    state = refit_run(tmp_path)
    assert state.weights == pytest.approx(expected(0, 1, 2), rel=1e-6, abs=1e-6)
    assert (state.round, len(state.history)) == (2, 2)
    assert state.history[1].validation_balanced_accuracy >= state.history[0].validation_balanced_accuracy
    assert refitted(state)


def test_the_ridge_head_takes_one_exchange(tmp_path: Path) -> None:
    asked: list[str] = []
    state = refit_run(tmp_path, RIDGE, asked=asked)
    head = ridge_head(reduce(add, (HeadSums.of(*lesions(k, SIZES[k]), WEIGHTS) for k in range(3))), 0.1)
    assert state.weights == pytest.approx(np.concatenate([head.kernel.ravel(), head.bias]), abs=1e-6)
    assert asked == ["sums"]


def test_a_worse_last_layer_is_not_kept(tmp_path: Path) -> None:
    """All clinics label wrongly there: the model is that of the last round of training."""
    before = refit_run(tmp_path / "before", None)
    state = refit_run(tmp_path / "after", wrong=1)
    assert (state.weights == before.weights).all()
    assert (before.round, state.round) == (1, 2)
    assert state.history[1].validation_balanced_accuracy < state.history[0].validation_balanced_accuracy
    assert refitted(state)
    assert not refitted(before)


def test_a_run_that_was_interrupted_there_asks_once_and_ends_the_same(tmp_path: Path) -> None:
    whole = refit_run(tmp_path / "whole", members=MEMBERS)

    class Died(Exception):
        pass

    def dies(sums: SlopeSums) -> SlopeSums:
        raise Died

    with pytest.raises(FederationError, match="of the 3 clinics"):
        refit_run(tmp_path / "again", lie=dies, quorum=3, attempts=1, members=MEMBERS)
    assert load_state(tmp_path / "again").round == 1
    state = refit_run(tmp_path / "again", quorum=3, members=MEMBERS, resume=True)
    assert (state.weights == whole.weights).all()
    asked: list[str] = []
    again = refit_run(tmp_path / "again", quorum=3, members=MEMBERS, resume=True, asked=asked)
    assert (again.weights == whole.weights).all()
    assert (again.round, asked) == (2, [])


@pytest.mark.parametrize(
    "lie",
    [
        lambda sums: sums.times(1000),
        lambda sums: replace(sums, slopes=sums.slopes * np.nan),
        lambda sums: replace(sums, slopes=sums.slopes[1:]),
    ],
)
def test_a_clinic_whose_slopes_cannot_be_used_is_left_out_of_all_points(tmp_path: Path, lie: Lie) -> None:
    state = refit_run(tmp_path, lie=lie, quorum=2)
    assert state.weights == pytest.approx(expected(0, 2), rel=1e-6, abs=1e-6)
    shares = {clinic.clinic: clinic.share for clinic in state.history[1].clinics}
    assert shares["vienna"] + shares["linz"] == pytest.approx(1)


def test_a_resumed_run_has_the_same_last_layer_in_its_settings(tmp_path: Path) -> None:
    refit_run(tmp_path)
    with pytest.raises(SettingsError, match="refit"):
        refit_run(tmp_path, RIDGE, resume=True)


@pytest.mark.parametrize(
    ("new", "old", "kept"),
    [
        ((0.7, 1.0, 0.8), (0.6, 0.5, 0.8), True),
        ((0.7, 1.0, 0.7), (0.6, 0.5, 0.8), True),
        ((0.6, 0.4, 0.8), (0.6, 0.5, 0.8), True),
        ((0.6, 0.6, 0.8), (0.6, 0.5, 0.8), False),
        ((0.5, 0.1, 0.8), (0.6, 0.5, 0.8), False),
        ((0.5, 0.1, 0.9), (0.6, 0.5, 0.8), True),
        ((0.5, 0.1, np.nan), (0.6, 0.5, np.nan), False),
        ((np.nan, 0.1, 0.9), (0.6, 0.5, 0.8), False),
    ],
)
def test_what_is_no_worse(new: tuple[float, ...], old: tuple[float, ...], kept: bool) -> None:
    def row(values: tuple[float, ...]) -> HistoryRow:
        accuracy, loss, auc = values
        return HistoryRow(1, 0.0, loss, 0.5, accuracy, auc, 3, "", 1.0, 0.0)

    assert not_worse(row(new), row(old)) == kept


def test_a_clinic_without_a_class_changes_nothing_of_what_all_images_give(tmp_path: Path) -> None:
    images = [lesions(clinic, size) for clinic, size in enumerate(SIZES)]
    known = [labels != 2 if clinic < 2 else labels >= 0 for clinic, (_, labels) in enumerate(images)]
    own = [Refit(each[0][of], each[1][of]) for each, of in zip(images, known, strict=True)]

    def trainer_for(context: Context) -> Refit:
        return own[int(context.node_config["partition-id"])]

    run_local(server(tmp_path, 1, refit=LOGISTIC), build_client_app(trainer_for), NAMES)
    features, labels = (
        np.concatenate(each) for each in zip(*((one.features, one.labels) for one in own), strict=True)
    )
    sums = HeadSums.of(features, labels, WEIGHTS)
    head = logistic_head(sums, lambda head: SlopeSums.of(features, labels, WEIGHTS, head), 0.1).head
    state = load_state(tmp_path)
    assert (state.round, state.history[1].left_out) == (2, "")
    assert state.weights == pytest.approx(np.concatenate([head.kernel.ravel(), head.bias]), abs=1e-6)
