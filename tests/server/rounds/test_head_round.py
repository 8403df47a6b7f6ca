"""The exact head over real Flower apps and messages, in process: what all images in one place give."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from flwr.app import Context

from dermafed.client.node.client_app import build_client_app
from dermafed.server.rounds.checkpoint import load_state
from dermafed.server.rounds.shares import Member
from dermafed.server.rounds.strategies import make_strategy
from dermafed.shared.errors import DatasetError, FederationError
from dermafed.shared.training.exact_head.head_sums import HeadSums
from dermafed.shared.training.exact_head.ridge import LinearHead, ridge_head
from dermafed.shared.training.exact_head.slope_sums import SlopeSums
from dermafed.shared.training.trainer import FloatVector
from dermafed.simulation.engines.local import run_local
from tests.server.small_clinics import CLASSES, FEATURES, NAMES, SIZES, Regression, lesions, pooled, server

WEIGHTS = np.array([2.0, 1.0, 0.5])
Lie = Callable[[HeadSums], HeadSums]


@dataclass
class Head(Regression):
    lie: Lie = lambda sums: sums

    def head_sums(self, weights: FloatVector, round: int) -> HeadSums:
        return self.lie(HeadSums.of(self.features, self.labels, WEIGHTS))

    def head_slopes(self, weights: FloatVector, round: int, head: LinearHead) -> SlopeSums:
        return SlopeSums.of(self.features, self.labels, WEIGHTS, head)


def head_run(folder: Path, lie: Lie | None = None, **options: object) -> None:
    def trainer_for(context: Context) -> Head:
        clinic = int(context.node_config["partition-id"])
        own = Head(*lesions(clinic, SIZES[clinic]))
        return replace(own, lie=lie) if lie is not None and clinic == 1 else own

    strategy = make_strategy("exact-head")
    run_local(server(folder, rounds=1, strategy=strategy, **options), build_client_app(trainer_for), NAMES)  # type: ignore[arg-type]


def expected(*clinics: int) -> np.ndarray:  # type: ignore[type-arg]
    images = [lesions(clinic, SIZES[clinic]) for clinic in clinics]
    features, labels = (np.concatenate(each) for each in zip(*images, strict=True))
    head = ridge_head(HeadSums.of(features, labels, WEIGHTS), 0.1)
    return np.concatenate([head.kernel.ravel(), head.bias])


def test_the_model_has_the_head_of_all_images_together(tmp_path: Path) -> None:
    head_run(tmp_path)
    state = load_state(tmp_path)
    assert state.weights == pytest.approx(expected(0, 1, 2), rel=1e-6, abs=1e-6)
    shares = [clinic.share for clinic in state.history[0].clinics]
    assert sum(shares) == pytest.approx(1)
    features, labels = pooled()
    assert state.history[0].validation_accuracy > 0.6
    assert state.weights.size == (FEATURES + 1) * CLASSES
    assert len(features) == len(labels)


def too_few(sums: HeadSums) -> HeadSums:
    raise DatasetError("too few images of Jane Doe")


def other_features(sums: HeadSums) -> HeadSums:
    return HeadSums(sums.gram[1:, 1:], sums.targets[1:], sums.counts)


@pytest.mark.parametrize(
    ("lie", "why"),
    [
        (too_few, "DatasetError"),
        (lambda sums: sums.times(100), "weigh otherwise"),
        (other_features, "other features"),
        (lambda sums: replace(sums, gram=-sums.gram), "refused"),
        (lambda sums: replace(sums, gram=sums.gram * np.nan), "not finite"),
    ],
)
def test_a_clinic_whose_sums_cannot_be_used_is_left_out(tmp_path: Path, lie: Lie, why: str) -> None:
    head_run(tmp_path, lie, quorum=2)
    state = load_state(tmp_path)
    assert state.weights == pytest.approx(expected(0, 2), rel=1e-6, abs=1e-6)
    assert "graz" in state.history[0].left_out
    assert why in state.history[0].left_out
    assert "Jane" not in state.history[0].left_out


def test_no_clinic_counts_more_images_than_it_told(tmp_path: Path) -> None:
    members = {name: Member(size, size) for name, size in zip(NAMES, SIZES, strict=True)}
    head_run(tmp_path / "honest", members=members)
    assert load_state(tmp_path / "honest").weights == pytest.approx(expected(0, 1, 2), abs=1e-6)

    def many(sums: HeadSums) -> HeadSums:
        return replace(sums.times(3), counts=3 * sums.counts)

    head_run(tmp_path / "lie", many, members=members, quorum=2)
    assert load_state(tmp_path / "lie").weights == pytest.approx(expected(0, 2), abs=1e-6)
    assert "more than the 23 that it told" in load_state(tmp_path / "lie").history[0].left_out


def wrong(clinic: int) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[type-arg]
    """A clinic's images, each labelled with the class after its own."""
    features, labels = lesions(clinic, SIZES[clinic])
    return features, (labels + 1) % CLASSES


def poisoned_run(folder: Path, **options: object) -> np.ndarray:  # type: ignore[type-arg]
    """The run where the largest clinic labels wrongly; the weights are 9, 27.5 and 70."""

    def trainer_for(context: Context) -> Head:
        clinic = int(context.node_config["partition-id"])
        return Head(*(wrong(2) if clinic == 2 else lesions(clinic, SIZES[clinic])))

    app = server(folder, rounds=1, strategy=make_strategy("exact-head"), **options)
    run_local(app, build_client_app(trainer_for), NAMES)
    return load_state(folder).weights


def poisoned(factor: float) -> np.ndarray:  # type: ignore[type-arg]
    """The head where the largest clinic's wrong images weigh so much."""
    first, second = (HeadSums.of(*lesions(each, SIZES[each]), WEIGHTS) for each in range(2))
    head = ridge_head(first + second + HeadSums.of(*wrong(2), WEIGHTS * factor), 0.1)
    return np.concatenate([head.kernel.ravel(), head.bias])


def test_no_clinics_share_of_the_sums_is_above_the_cap(tmp_path: Path) -> None:
    """Weights of 9, 27.5 and 70: the third counts as much as the others together, 36.5."""
    found = poisoned_run(tmp_path / "capped", largest_share=0.5)
    assert found == pytest.approx(poisoned(36.5 / 70), rel=1e-6, abs=1e-6)
    shares = [clinic.share for clinic in load_state(tmp_path / "capped").history[0].clinics]
    assert sorted(shares) == pytest.approx([9 / 73, 27.5 / 73, 0.5])
    uncapped = poisoned_run(tmp_path / "uncapped", largest_share=1)
    assert uncapped == pytest.approx(poisoned(1), rel=1e-6, abs=1e-6)


def test_a_hostile_clinic_below_the_cap_does_not_decide_the_head(tmp_path: Path) -> None:
    """At a third, against 7 and 23 honest images; uncapped, its 60 wrong ones win."""
    honest = [lesions(clinic, SIZES[clinic]) for clinic in (0, 1)]
    features, labels = (np.concatenate(each) for each in zip(*honest, strict=True))

    def right(weights: np.ndarray) -> float:  # type: ignore[type-arg]
        matrix = weights.reshape(FEATURES + 1, CLASSES)
        return float(((features @ matrix[:-1] + matrix[-1]).argmax(1) == labels).mean())

    assert right(poisoned_run(tmp_path / "uncapped", largest_share=1)) < 0.5
    assert right(poisoned_run(tmp_path / "capped", largest_share=0.34)) > 0.6


def test_far_larger_features_leave_a_clinic_out(tmp_path: Path) -> None:
    """They would be all that the standardisation sees."""

    def larger(sums: HeadSums, by: float = 10) -> HeadSums:
        scale = np.append(np.full(FEATURES, by), 1.0)
        return HeadSums(sums.gram * np.outer(scale, scale), sums.targets * scale[:, None], sums.counts)

    options = {"largest_step": 3.0, "largest_share": 1.0, "quorum": 2}
    head_run(tmp_path / "lie", larger, **options)
    assert load_state(tmp_path / "lie").weights == pytest.approx(expected(0, 2), rel=1e-6, abs=1e-6)
    assert "far larger" in load_state(tmp_path / "lie").history[0].left_out
    head_run(tmp_path / "twice", lambda sums: larger(sums, 2), **options)
    assert not load_state(tmp_path / "twice").history[0].left_out


def test_clinics_that_sum_up_no_features_end_the_run(tmp_path: Path) -> None:
    def trainer_for(context: Context) -> Regression:
        clinic = int(context.node_config["partition-id"])
        return Regression(*lesions(clinic, SIZES[clinic]))

    app = server(tmp_path, rounds=1, strategy=make_strategy("exact-head"), attempts=1)
    with pytest.raises(FederationError, match="0 of the"):
        run_local(app, build_client_app(trainer_for), NAMES)


def test_a_clinic_without_a_class_changes_nothing_of_what_all_images_give(tmp_path: Path) -> None:
    """Its images are of no class that it lacks, in one place as over clinics: nothing is to be masked."""
    images = [lesions(clinic, size) for clinic, size in enumerate(SIZES)]
    few = [(features[labels != 2], labels[labels != 2]) for features, labels in images[:2]]
    own = [Head(*each) for each in (*few, images[2])]

    def trainer_for(context: Context) -> Head:
        return own[int(context.node_config["partition-id"])]

    app = server(tmp_path, rounds=1, strategy=make_strategy("exact-head"))
    run_local(app, build_client_app(trainer_for), NAMES)
    features, labels = (
        np.concatenate(each) for each in zip(*((one.features, one.labels) for one in own), strict=True)
    )
    head = ridge_head(HeadSums.of(features, labels, WEIGHTS), 0.1)
    state = load_state(tmp_path)
    assert state.weights == pytest.approx(np.concatenate([head.kernel.ravel(), head.bias]), abs=1e-6)
    assert state.history[0].left_out == ""
