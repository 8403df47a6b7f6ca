"""The screening of updates by itself: what is found, shortened and left out."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dermafed.server.rounds.screening import Screen, Screened
from dermafed.server.rounds.update_spool import UpdateSpool
from dermafed.shared.model.parts import MEANS, VARIANCES, WEIGHTS

PARTS = np.array([WEIGHTS] * 6 + [MEANS] * 2 + [VARIANCES] * 2, np.uint8)
START = np.linspace(0.5, 1.5, PARTS.size).astype(np.float32)


def screened(folder: Path, steps: dict[str, np.ndarray], largest: float | None = 3.0) -> dict[str, Screened]:
    models = {name: (START + step).astype(np.float32) for name, step in steps.items()}
    return compared(folder, Screen(PARTS, largest), START, models)


def compared(
    folder: Path, screen: Screen, start: np.ndarray, models: dict[str, np.ndarray]
) -> dict[str, Screened]:
    spool = UpdateSpool(folder, start.size)
    try:
        for name, model in models.items():
            spool.add(name, model)
        return screen.screen(
            start, spool, {name: screen.norms(model, start) for name, model in models.items()}
        )
    finally:
        spool.close()


def step(*weights: float, means: float = 0.1, variances: float = 0.1) -> np.ndarray:
    return np.array([*weights, *[0] * (6 - len(weights)), *[means] * 2, *[variances] * 2])


def test_norms_and_cosines_worked_out_by_hand(tmp_path: Path) -> None:
    found = screened(tmp_path, {"a": step(3, 4), "b": step(4, -3), "c": step(30, 40)})
    assert [one.norms[WEIGHTS] for one in found.values()] == pytest.approx([5, 5, 50], rel=1e-6)
    assert [one.times_median[WEIGHTS] for one in found.values()] == pytest.approx([1, 1, 10], rel=1e-6)
    assert [one.cosine for one in found.values()] == pytest.approx([0.5, 0, 0.5], abs=1e-6)
    assert found["c"].factors == pytest.approx((0.3, 1, 1), rel=1e-6)
    assert found["c"].note == "its step of the weights is 10 times the median, shortened to 3"
    short = Screen(PARTS, 3.0).shortened((START + step(30, 40)).astype(np.float32), START, found["c"])
    assert short - START == pytest.approx(step(9, 12), abs=1e-5)


def test_a_model_of_several_blocks_is_screened_as_a_whole(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    parts, start = rng.integers(0, 3, 150_000).astype(np.uint8), rng.normal(size=150_000).astype(np.float32)
    models = {name: start + rng.normal(size=start.size).astype(np.float32) for name in "abc"}
    found = compared(tmp_path, Screen(parts), start, models)
    steps = {name: model.astype(np.float64) - start for name, model in models.items()}
    units = {
        name: own[parts == WEIGHTS] / np.linalg.norm(own[parts == WEIGHTS]) for name, own in steps.items()
    }
    for name, own in steps.items():
        norms = [np.linalg.norm(own[parts == part]) for part in range(3)]
        assert found[name].norms == pytest.approx(norms, rel=1e-12)
        others = [units[name] @ units[other] for other in "abc" if other != name]
        assert found[name].cosine == pytest.approx(np.mean(others), abs=1e-12)


def test_an_opposite_step_is_left_out_and_only_measured_without_a_limit(tmp_path: Path) -> None:
    steps = {"a": step(3, 4), "b": step(3, 4.5), "c": step(-3, -4)}
    found = screened(tmp_path, steps)
    assert found["c"].left_out == "its step points away from the others' (cosine -1.00)"
    assert not found["a"].left_out
    assert not found["b"].left_out
    assert not screened(tmp_path, steps, None)["c"].left_out
    two = screened(tmp_path, {"a": step(3, 4), "c": step(-3, -4)})
    assert not two["c"].left_out, "of two, nobody knows which is right"


def test_one_alone_and_one_that_does_not_move(tmp_path: Path) -> None:
    alone = screened(tmp_path, {"a": step(3, 4)})["a"]
    assert math.isnan(alone.cosine)
    assert alone.factors == (1, 1, 1)
    still = screened(tmp_path, {"a": step(3, 4), "b": np.zeros(10), "c": step(4, 3)})["b"]
    assert still.norms == (0, 0, 0)
    assert still.note == ""
    assert screened(tmp_path, {}) == {}


def test_a_part_that_only_one_clinic_changes_is_not_used(tmp_path: Path) -> None:
    fixed = step(1, 1, means=0, variances=0)
    found = screened(tmp_path, {"a": fixed, "b": fixed, "c": step(1, 1, means=1e6, variances=0)})
    assert found["c"].factors == (1, 0, 1)
    assert "which nobody else takes" in found["c"].note


FINITE = st.lists(st.floats(-1e8, 1e8, width=32), min_size=10, max_size=10)


@settings(max_examples=200, deadline=None)
@given(FINITE)
def test_one_of_three_cannot_leave_out_the_others_or_move_more_than_the_limit(
    tmp_path_factory: pytest.TempPathFactory, hostile: list[float]
) -> None:
    honest = {"a": step(3, 4, 1), "b": step(4, 3, -1)}
    found = screened(tmp_path_factory.getbasetemp(), {**honest, "c": np.array(hostile)})
    assert not found["a"].left_out
    assert not found["b"].left_out
    sent = (START + np.array(hostile)).astype(np.float32)
    used = Screen(PARTS, 3.0).shortened(sent, START, found["c"]).astype(float) - START
    for part, median in ((WEIGHTS, math.sqrt(26)), (MEANS, 0.1 * math.sqrt(2))):
        assert np.linalg.norm(used[part == PARTS]) <= 3.001 * median + 1e-5
