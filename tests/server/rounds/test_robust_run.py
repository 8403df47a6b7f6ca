"""A run with a robust rule: the model, what the history keeps, and a break in the middle."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from flwr.clientapp import ClientApp

from dermafed.server.rounds.robust_models import RobustModels
from dermafed.server.rounds.round_rules import RoundRules
from dermafed.server.rounds.screening import Screen
from dermafed.shared.errors import FederationError, SettingsError
from dermafed.shared.model.parts import MEANS, WEIGHTS
from dermafed.shared.protocol.messages import encode_update
from dermafed.shared.protocol.robust_settings import RobustSettings
from dermafed.shared.training.trainer import FloatVector, Update
from tests.attacks.hostile_clinic import OPEN, app_of, honest_step, replying, run
from tests.server.small_clinics import PARAMETERS, start_weights

MEDIAN = RobustSettings(rule="median")
OPPOSITE = -10 * (honest_step(0) + honest_step(2))


def sending(step: FloatVector) -> ClientApp:
    """graz sends this step, whatever the round."""
    return app_of(
        train=replying(lambda sent: encode_update(Update(sent + step, 23, {"loss": 1.0}), 0.0)),
    )


def test_the_model_is_the_rules_and_every_clinic_counts_the_same(tmp_path: Path) -> None:
    state = run(tmp_path, sending(50 * honest_step()), robust=MEDIAN, **OPEN)
    steps = [honest_step(0), 50 * honest_step(1), honest_step(2)]
    np.testing.assert_allclose(state.weights, start_weights() + np.median(steps, axis=0), atol=1e-6)
    (graz,) = (one for one in state.history[0].clinics if one.clinic == "graz")
    assert "times as far from the round's result as most" in graz.note
    assert state.settings["robust"] == {"rule": "median"}


def test_who_is_caught_counts_for_the_quorum_of_a_rule_only(tmp_path: Path) -> None:
    (row,) = run(tmp_path / "median", sending(OPPOSITE), robust=MEDIAN, quorum=3).history
    assert row.replied == 2
    assert row.left_out.startswith("graz: its step points away from the others' (cosine -0.")
    (graz,) = (one for one in row.clinics if one.clinic == "graz")
    assert graz.share == 0
    assert graz.note in row.left_out
    with pytest.raises(FederationError, match="got 2 of the 3 replies"):
        run(tmp_path / "mean", sending(OPPOSITE), quorum=3, attempts=1)


def test_a_break_changes_nothing(tmp_path: Path) -> None:
    """The replay of a step is found after it too."""
    hostile = sending(honest_step())
    whole = run(tmp_path / "whole", hostile, rounds=3, robust=MEDIAN)
    run(tmp_path / "broken", hostile, rounds=2, robust=MEDIAN)
    resumed = run(tmp_path / "broken", hostile, rounds=3, robust=MEDIAN, resume=True)
    np.testing.assert_array_equal(resumed.weights, whole.weights)
    assert [row.left_out for row in resumed.history] == [row.left_out for row in whole.history]
    assert whole.history[2].left_out == "graz: its step is that of round 1 again"
    with pytest.raises(SettingsError, match="robust"):
        run(tmp_path / "broken", hostile, rounds=4, resume=True)


def test_a_refused_update_is_kept_with_its_reason(tmp_path: Path) -> None:
    nothing = sending(np.full(PARAMETERS, np.nan, np.float32))
    (row,) = run(tmp_path, nothing, robust=MEDIAN, quorum=3).history
    assert row.replied == 2
    assert next(one.note for one in row.clinics if one.clinic == "graz") in row.left_out


def test_more_hostile_clinics_than_planned_end_the_run(tmp_path: Path) -> None:
    start = start_weights()
    rules, screen = RoundRules(1, 3), Screen(np.full(PARAMETERS, WEIGHTS, np.uint8), 3.0)
    opposite = start - honest_step(1)
    with RobustModels(start, rules, screen, None, tmp_path, robust=MEDIAN) as models:
        for name, sent in {"a": start, "b": opposite, "c": start + honest_step(1)}.items():
            models.accept(name, encode_update(Update(sent.astype(np.float32), 1, {"loss": 1.0}), 0.0))
        assert models.compare().keys() == {"a"}
        models.result()  # of two that contradict each other, nobody knows who lies
        models._screened["b"].left_out = "caught too"
        with pytest.raises(FederationError, match="median with 1 hostile needs 3 updates, and 1 are left"):
            models.result()


def test_an_honest_clinic_that_fails_leaves_the_hostile_one_no_more_room(tmp_path: Path) -> None:
    """One whose training diverges is caught, and need not be the hostile one: the rule still bears one."""
    start = start_weights()
    rules, screen = RoundRules(1, 5), Screen(np.full(PARAMETERS, WEIGHTS, np.uint8), 3.0)
    trimmed = RobustSettings(rule="trimmed-mean")
    side = np.linspace(-1, 1, PARAMETERS) * np.linalg.norm(honest_step(0))
    sent = {name: start + honest_step(place) for place, name in enumerate("abc")}
    sent |= {"diverged": np.full(PARAMETERS, np.nan), "hostile": start + side}
    with RobustModels(start, rules, screen, None, tmp_path, robust=trimmed) as models:
        for name, model in sent.items():
            with suppress(FederationError):
                models.accept(name, encode_update(Update(model.astype(np.float32), 1, {"loss": 1.0}), 0.0))
        assert not models.compare()
        assert models.caught == 1
        mean = models.result().mean
    honest = np.stack([start + honest_step(place) for place in range(3)])
    assert (mean >= honest.min(axis=0) - 1e-6).all()
    assert (mean <= honest.max(axis=0) + 1e-6).all()
    assert (np.stack([*honest, sent["hostile"]]).mean(axis=0) > honest.max(axis=0)).any()  # the control


def test_weights_that_are_too_long_leave_a_clinic_out_and_statistics_are_shortened(tmp_path: Path) -> None:
    """Norms of (1, 1, 10) times a step, by the part that is long; three times the median is allowed."""
    start = start_weights()
    parts = np.full(PARAMETERS, WEIGHTS, np.uint8)
    parts[-2:] = MEANS
    for part, left_out in ((WEIGHTS, {"c"}), (MEANS, set())):
        rules = RoundRules(1, 3, largest_step=3.0)
        with RobustModels(start, rules, Screen(parts, 3.0), None, tmp_path, robust=MEDIAN) as models:
            for place, name in enumerate("abc"):
                step = honest_step(place) * np.where((parts == part) & (name == "c"), 10, 1)
                sent = Update((start + step).astype(np.float32), 1, {"loss": 1.0})
                models.accept(name, encode_update(sent, 0.0))
            assert models.compare().keys() == left_out
            (note,) = (one.note for name, one in models.result().clinics.items() if name == "c")
        assert ("shortened to 3" in note) == (part == MEANS), note
