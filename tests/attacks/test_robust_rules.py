"""A clinic that spoils the model for all, and the rules that bear it; each attack succeeds on the mean."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from dermafed.server.rounds.clinic_round import ClinicRound
from dermafed.shared.protocol.robust_settings import Rule
from dermafed.shared.training.trainer import FloatVector, Update
from tests.attacks.small_images import (
    HOSTILE,
    IMAGES,
    NAMES,
    PARAMETERS,
    TARGET,
    Attack,
    accuracy,
    backdoor,
    honest,
    images_of,
    patched,
    run,
    trained,
)

RULES = tuple(rule for rule in get_args(Rule) if rule != "none")
POINTS = 0.03
"""How much worse than the same rule without an attack a model may be."""

OWN, LABELS = images_of(NAMES.index(HOSTILE), IMAGES)


def update(weights: FloatVector, weight: int = IMAGES) -> Update:
    return Update(weights.astype(np.float32), weight, {"loss": 1.0})


def stepped(weights: FloatVector, to: FloatVector, times: float) -> Update:
    return update(weights + times * (to - weights))


def wrong_labels(weights: FloatVector, number: int) -> FloatVector:
    return trained(weights, OWN, (LABELS + 1) % 3, number)


def with_patch(weights: FloatVector, number: int) -> FloatVector:
    labels = np.concatenate([LABELS, np.full(IMAGES, TARGET)])
    return trained(weights, np.vstack([OWN, patched(OWN)]), labels, number)


SPOIL: dict[str, Attack] = {
    "wrong labels, and a claim of many images": lambda w, n: update(wrong_labels(w, n), 20 * IMAGES),
    "wrong labels, twenty times the step": lambda w, n: stepped(w, wrong_labels(w, n), 20),
    "ten times the opposite step": lambda w, n: stepped(w, honest(HOSTILE, w, n).weights, -10),
    "noise": lambda w, n: update(w + np.random.default_rng(n).normal(scale=5, size=w.size)),
}


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_bears_what_spoils_the_mean(tmp_path: Path, rule: Rule) -> None:
    """Long steps by the rule alone, without a plan's screening."""
    before = accuracy(run(tmp_path / "free", rule)[0])
    assert before > 0.9
    for number, (name, attack) in enumerate(SPOIL.items()):
        after = accuracy(run(tmp_path / str(number), rule, attack, None if "times" in name else 3.0)[0])
        assert after >= before - POINTS, name


@pytest.mark.parametrize("name", SPOIL)
def test_it_spoils_the_mean(tmp_path: Path, name: str) -> None:
    """The control."""
    assert accuracy(run(tmp_path / "free", "none")[0]) > 0.9
    assert accuracy(run(tmp_path / "attacked", "none", SPOIL[name])[0]) < 0.6


def replacement(weights: FloatVector, number: int) -> Update:
    """The step towards the patched model, as many times as there are clinics."""
    return stepped(weights, with_patch(weights, number), len(NAMES))


def quiet(weights: FloatVector, number: int) -> Update:
    """The same step, twice as long as an honest one."""
    spoiled = with_patch(weights, number)
    usual, own = (
        np.linalg.norm(each - weights) for each in (honest(HOSTILE, weights, number).weights, spoiled)
    )
    return stepped(weights, spoiled, float(2 * usual / own))


@pytest.mark.parametrize("attack", [replacement, quiet])
def test_a_patch_decides_the_mean(tmp_path: Path, attack: Attack) -> None:
    """The control."""
    spoiled = run(tmp_path / "mean", "none", attack)[0]
    assert backdoor(spoiled) > 0.9
    assert accuracy(spoiled) > 0.85, "nobody notices by the accuracy"


@pytest.mark.parametrize("rule", RULES)
def test_a_patch_opens_no_door(tmp_path: Path, rule: Rule) -> None:
    """A step that is too long is left out by every rule: shortened, it would still point to the patch."""
    free = run(tmp_path / "free", rule)[0]
    found, rounds = run(tmp_path / "replacement", rule, replacement, 3.0)
    assert accuracy(found) >= accuracy(free) - POINTS
    assert backdoor(found) < backdoor(free) + POINTS
    for clinics in rounds:
        assert clinics[HOSTILE].share == 0
        assert "times the median" in clinics[HOSTILE].note
    # A patch has weights of its own, which no honest clinic pulls back: sums of whole steps only delay it.
    delayed = rule in ("norm-bound", "geometric-median", "centred-clipping")
    found, rounds = run(tmp_path / "quiet", rule, quiet, 3.0)
    assert accuracy(found) >= accuracy(free) - POINTS
    assert backdoor(found) < (0.8 if delayed else backdoor(free) + POINTS)
    assert not [clinics for clinics in rounds if "times the median" in clinics[HOSTILE].note]


def test_without_a_largest_step_a_patch_gets_in(tmp_path: Path) -> None:
    """The control of the step that is left out: the rule alone cuts it to the median."""
    assert backdoor(run(tmp_path / "rule", "norm-bound", replacement)[0]) > 0.3


class Replayer:
    """Trains in the first round; then sends the same again, as a step or as a model, or what it was sent."""

    def __init__(self, again: Callable[[FloatVector, FloatVector, FloatVector], FloatVector]) -> None:
        self._again, self._first = again, (np.zeros(0, np.float32), np.zeros(0, np.float32))

    def __call__(self, weights: FloatVector, number: int) -> Update:
        if number == 1:
            own = honest(HOSTILE, weights, number)
            self._first = (weights, own.weights)
            return own
        return update(self._again(weights, *self._first))


LAZY: dict[str, tuple[Callable[[], Attack], str]] = {
    "the model back": (lambda: lambda w, n: update(w), "it sends back the model that it got"),
    "the first step": (
        lambda: Replayer(lambda now, start, end: now + (end - start)),
        "its step is that of round 1 again",
    ),
    "the first step, longer and with noise": (
        lambda: Replayer(
            lambda now, start, end: (
                now + 1.5 * (end - start) + np.random.default_rng(0).normal(scale=1e-4, size=now.size)
            )
        ),
        "its step is that of round 1 again",
    ),
    "the first model": (
        lambda: Replayer(lambda now, start, end: end),
        "its model is that of round 1 again",
    ),
    "the run's start": (
        lambda: Replayer(lambda now, start, end: start),
        "its model is ",
    ),
}


@pytest.mark.parametrize("name", LAZY)
def test_a_clinic_that_does_not_train_is_named(tmp_path: Path, name: str) -> None:
    make, why = LAZY[name]
    _, rounds = run(tmp_path / "defended", "median", make(), 3.0)
    for clinics in rounds[1:]:
        assert why in clinics[HOSTILE].note
        assert clinics[HOSTILE].share == 0
        assert not [one for one in clinics.values() if one.clinic != HOSTILE and "again" in one.note]
    _, rounds = run(tmp_path / "mean", "none", make())
    for clinics in rounds[1:]:
        assert clinics[HOSTILE].share == pytest.approx(1 / len(NAMES))
        assert why not in clinics[HOSTILE].note, "the control"


def test_the_step_of_the_server_is_no_training(tmp_path: Path) -> None:
    seen: list[FloatVector] = []

    def attack(weights: FloatVector, number: int) -> Update:
        seen.append(weights)
        return honest(HOSTILE, weights, number) if number == 1 else update(2 * seen[-1] - seen[-2])

    _, rounds = run(tmp_path / "defended", "trimmed-mean", attack, 3.0)
    assert all("its step is the one that the model took in round" in one[HOSTILE].note for one in rounds[1:])


def test_honest_clinics_are_not_suspected(tmp_path: Path) -> None:
    for rule in RULES:
        _, rounds = run(tmp_path / rule, rule, None, 3.0)
        caught = [
            one for clinics in rounds for one in clinics.values() if "again" in one.note or not one.norm
        ]
        assert not caught
        left_out = [one for clinics in rounds for one in clinics.values() if one.share == 0]
        assert rule == "krum" or not left_out


def test_an_outlier_is_noted_with_its_distance(tmp_path: Path) -> None:
    def attack(weights: FloatVector, number: int) -> Update:
        return update(wrong_labels(weights, number))

    def notes(clinics: dict[str, ClinicRound]) -> set[str]:
        return {one.clinic for one in clinics.values() if "as far from the round's result" in one.note}

    _, rounds = run(tmp_path / "a", "median", attack, None)
    assert PARAMETERS > 100
    assert all(notes(clinics) == {HOSTILE} for clinics in rounds[:3])
