"""Rounds by secure sums over groups, in process: the rule combines their means, and sees no clinic's."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flwr.app import Message

from dermafed.client.node.clinic_sums import ClinicSums, Summand
from dermafed.server.flower.sparing_grid import SparingGrid
from dermafed.server.rounds.acceptance import setback
from dermafed.server.rounds.checkpoint import load_best, load_state
from dermafed.server.rounds.history import HistoryRow, read_history, row_from_values, row_values, setbacks
from dermafed.shared.errors import FederationError
from dermafed.shared.metrics.evaluation import ClinicEvaluation
from dermafed.shared.protocol.robust_settings import RobustSettings
from dermafed.shared.protocol.sum_messages import SUM_RELEASE, SUM_SHARES, SUM_SURVIVORS, SUMMED, decode_step
from dermafed.shared.secure_sum.survivors import Survivors
from dermafed.shared.training.trainer import FloatVector, Trainer, Update
from tests.server.small_clinics import Regression, lesions, pooled, probabilities, start_weights
from tests.server.sparing_clinics import Workers
from tests.server.summing_clinics import Clinics, Tapped
from tests.shared.secure_sum.conftest import each_signature_checked_once as each_signature_checked_once

pytestmark = pytest.mark.usefixtures("each_signature_checked_once")

NAMES = tuple("abcdefghijkl")
SIZES = (9, 12, 30, 9, 15, 21, 9, 12, 60, 9, 30, 15)
MEDIAN = RobustSettings(rule="median")


@dataclass(frozen=True)
class Small:
    """A trainer that takes short steps, but for one round, in which it makes the model worse."""

    clinic: int
    spoilt: int = 0

    def train(self, weights: FloatVector, round: int, config: Mapping[str, float]) -> Update:
        update = self._honest.train(weights, round, config)
        times = -40 if round == self.spoilt else 0.2
        moved = weights + np.float32(times) * (update.weights - weights)
        return Update(moved, update.weight, update.metrics)

    def evaluate(self, weights: FloatVector, round: int) -> ClinicEvaluation:
        return self._honest.evaluate(weights, round)

    @property
    def _honest(self) -> Trainer:
        return Regression(*lesions(self.clinic, SIZES[self.clinic]))


def nine(trainer: Callable[[int], Trainer] = Small, **options: Any) -> Clinics:
    return Clinics(NAMES[:9], SIZES[:9], {"colluders": 0}, trainer, robust=MEDIAN, **options)


@dataclass
class Groups:
    """Notes which clinics are in a sum together, by round, as the lists of survivors say."""

    seen: dict[int, set[tuple[int, ...]]] = field(default_factory=dict)

    def __call__(self, clinic: int, message: Message) -> Message:
        if message.metadata.message_type == SUM_SURVIVORS:
            of, data = decode_step(message.content)
            if of.label == "train":
                self.seen.setdefault(of.round, set()).add(Survivors.from_bytes(data).clinics)
        return message


def step_of(clinic: int, start: FloatVector, round: int = 1) -> np.ndarray:
    return Small(clinic).train(start, round, {}).weights.astype(np.float64) - start


def test_the_model_is_the_median_of_the_means_of_groups_that_are_drawn_anew(tmp_path: Path) -> None:
    clinics, groups = nine(), Groups()
    state = clinics.run(tmp_path, Tapped(clinics, change=groups), rounds=3)
    model = start_weights()
    for number in (1, 2, 3):
        assert sorted(clinic for own in groups.seen[number] for clinic in own) == list(range(9))
        assert [len(own) for own in groups.seen[number]] == [3, 3, 3]
        means = [np.mean([step_of(clinic, model) for clinic in own], axis=0) for own in groups.seen[number]]
        model = (model + np.median(means, axis=0)).astype(np.float32)
    assert np.abs(state.weights - model).max() <= 1e-6
    assert len({frozenset(seen) for seen in groups.seen.values()}) > 1
    row, (features, labels) = state.history[-1], pooled(SIZES[:9])
    together = ClinicEvaluation.from_predictions(labels, probabilities(model.astype(float), features))
    assert row.validation_accuracy == together.accuracy  # one sum over all
    assert (row.replied, row.left_out, row.rolled_back) == (9, "", "")
    assert all(np.isnan(one.share) and np.isnan(one.norm) for one in row.clinics)


@pytest.mark.parametrize("step", [SUM_SHARES, SUMMED["train"], SUM_SURVIVORS, SUM_RELEASE])
def test_groups_of_four_bear_a_dropout_each(tmp_path: Path, step: str) -> None:
    clinics = Clinics(NAMES, SIZES, {"colluders": 0}, robust=MEDIAN)
    grid = Tapped(clinics, lambda clinic, kind, count: (clinic, kind, count) == (1, step, 1))
    row = clinics.run(tmp_path, grid, rounds=1).history[0]
    in_sum = step in (SUM_SURVIVORS, SUM_RELEASE)  # its values had come
    assert row.replied == 11 + in_sum
    assert ("b: it is not connected" in row.left_out) is not in_sum


def test_a_group_of_three_bears_none_and_the_next_attempt_has_other_groups(tmp_path: Path) -> None:
    def silent(clinic: int, kind: str, count: int) -> bool:
        return (clinic, kind, count) == (1, SUMMED["train"], 1)

    clinics, groups = nine(), Groups()
    assert clinics.run(tmp_path, Tapped(clinics, silent, groups), rounds=1).history[0].replied == 9
    with pytest.raises(FederationError, match="2 clinics sent their masked vectors, of the 3") as caught:
        nine().run(tmp_path / "b", Tapped(nine(), silent), rounds=1, attempts=1)
    assert caught.value.what.endswith("missing: b")
    assert caught.value.where == "b: it is not connected"
    assert "Connect the clinics named here" in caught.value.remedy


def test_a_clinic_that_claims_more_weight_spoils_its_group_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = ClinicSums.mask

    def lying(self, of, message, context, asked, values):  # type: ignore[no-untyped-def]
        def claimed(own: Summand) -> dict[str, np.ndarray]:
            found = {name: np.asarray(value, np.float64) for name, value in values(own).items()}
            if of.label == "train" and own.name == "b":
                found = {name: -20 * value for name, value in found.items()}
            return found

        return honest(self, of, message, context, asked, claimed)

    monkeypatch.setattr(ClinicSums, "mask", lying)
    # What this clinic's own code would refuse, a hostile one's does not.
    monkeypatch.setattr("dermafed.shared.secure_sum.fixed_point.Layout._encoded", unchecked)
    clinics, groups = nine(), Groups()
    state = clinics.run(tmp_path, Tapped(clinics, change=groups), rounds=1)
    (spoilt,) = (own for own in groups.seen[1] if 1 in own)
    means = [np.mean([step_of(c, start_weights()) for c in own], axis=0) for own in groups.seen[1] - {spoilt}]
    assert np.abs(state.weights - start_weights() - np.median(means, axis=0)).max() <= 1e-6
    noted = {one.clinic: one.note for one in state.history[0].clinics if one.note}
    assert set(noted) == {NAMES[clinic] for clinic in spoilt}
    assert "below one image" in noted["b"]


def unchecked(self, part, numbers):  # type: ignore[no-untyped-def]
    multiples = np.rint(numbers.astype(np.float64) / self.step(part))
    return multiples.astype(np.int64).astype(np.uint64).astype(np.uint32)


def test_a_round_that_makes_the_model_much_worse_is_rolled_back(tmp_path: Path) -> None:
    """More clinics are hostile than the rule bears: all of them, in the third round."""
    spoiling = partial(Small, spoilt=3)
    clinics = nine(spoiling)
    before = clinics.run(tmp_path, rounds=2)
    spoilt = nine(spoiling, logs=clinics.logs).run(tmp_path, rounds=3, resume=True)
    assert (spoilt.round, spoilt.weights.tobytes()) == (3, before.weights.tobytes())
    after = nine(spoiling, logs=clinics.logs).run(tmp_path, rounds=4, resume=True)
    good, bad, last = after.history[1:]
    assert bad.validation_balanced_accuracy < good.validation_balanced_accuracy - 0.1
    assert last.validation_balanced_accuracy > good.validation_balanced_accuracy - 0.1
    assert [bool(row.rolled_back) for row in after.history] == [False, False, True, False]
    assert "the model of round 2, which stays" in bad.rolled_back
    assert setbacks(after.history)[0].startswith("Round 3 was rolled back: its balanced accuracy was 0.")
    assert read_history(tmp_path)[2].rolled_back == bad.rolled_back  # history.csv
    of_record = row_from_values(json.loads(json.dumps(row_values(bad))))
    assert of_record.rolled_back == bad.rolled_back
    assert load_best(tmp_path).round != 3
    # The control: without a rule nobody votes.
    plain = Clinics(NAMES[:9], SIZES[:9], {"colluders": 0}, spoiling)
    undefended = plain.run(tmp_path / "plain", rounds=3)
    assert undefended.history[-1].validation_balanced_accuracy < 0.5
    assert load_state(tmp_path / "plain").weights.tobytes() != before.weights.tobytes()


def test_after_a_rollback_each_clinic_gets_the_model_that_stays(tmp_path: Path) -> None:
    clinics = nine(partial(Small, spoilt=2))
    workers = Workers(clinics.app(), clinics.names)
    state = clinics.run(tmp_path, SparingGrid(workers), rounds=3)  # type: ignore[arg-type]
    assert [bool(row.rolled_back) for row in state.history] == [False, True, False]
    assert [row.replied for row in state.history] == [9, 9, 9]
    train, evaluate = SUMMED["train"], SUMMED["evaluate"]
    # Each model is validated; training is from the copy of it, but after the one that was refused.
    brought = [[kind for place, kind, weights in workers.down if place == at and weights] for at in range(9)]
    assert brought == [[train, evaluate, evaluate, train, evaluate]] * 9


@pytest.mark.parametrize(
    ("scores", "rolled_back"),
    [((), False), ((0.8,), True), ((0.6,), False), ((0.8, 0.65), False), ((0.9, float("nan")), True)],
)
def test_a_model_is_compared_with_the_last_accepted_one(scores: tuple[float, ...], rolled_back: bool) -> None:
    before = [row_of(number, score) for number, score in enumerate(scores, 1)]
    assert bool(setback(row_of(9, 0.6), before)) is rolled_back
    assert not setback(row_of(9, float("nan")), before)
    skipped = row_of(8, 0.1)
    object.__setattr__(skipped, "rolled_back", "why")
    assert bool(setback(row_of(9, 0.6), [*before, skipped])) is rolled_back


def row_of(number: int, score: float) -> HistoryRow:
    return HistoryRow(number, 1.0, 1.0, 0.5, score, 0.7, 9, "", 1.0, 0.1)
