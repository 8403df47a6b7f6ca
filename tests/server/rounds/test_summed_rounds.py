"""Rounds by secure sums over real Flower apps and messages, in process."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from flwr.app import Message, RecordDict

from dermafed.server.rounds.opened_sums import GroupSum
from dermafed.server.rounds.secure_sums import SecureSums
from dermafed.server.rounds.sum_attempts import ATTEMPTS_FILE, SumAttempts, SumLostError
from dermafed.server.rounds.summed_rounds import mean_of
from dermafed.shared.errors import FederationError
from dermafed.shared.metrics.evaluation import ClinicEvaluation
from dermafed.shared.protocol.messages import Instruction, encode_instruction
from dermafed.shared.protocol.sum_messages import (
    SUM_KEYS,
    SUM_RELEASE,
    SUM_SHARES,
    SUM_SURVIVORS,
    SUMMED,
    decode_sum,
    encode_sum,
)
from dermafed.shared.secure_sum.masked_vector import MaskedVector
from dermafed.shared.training.trainer import FloatVector, Trainer, Update
from tests.server.small_clinics import (
    PARAMETERS,
    Regression,
    lesions,
    pooled,
    probabilities,
    sgd_step,
    start_weights,
)
from tests.server.summing_clinics import NAMES, SIZES, Clinics, Tapped
from tests.shared.secure_sum.conftest import each_signature_checked_once as each_signature_checked_once

pytestmark = pytest.mark.usefixtures("each_signature_checked_once")

TRAIN, EVALUATE = SUMMED["train"], SUMMED["evaluate"]
STEPS = [SUM_KEYS, SUM_SHARES, TRAIN, SUM_SURVIVORS, SUM_RELEASE]


def trained(clinics: list[int]) -> np.ndarray:
    """The mean model after a round of these clinics, as plain averaging has it."""
    features, labels = (np.concatenate(part) for part in zip(*map(images_of, clinics), strict=True))
    return sgd_step(start_weights(), features, labels)


def images_of(clinic: int) -> tuple[np.ndarray, np.ndarray]:
    return lesions(clinic, SIZES[clinic])


def test_rounds_are_those_of_plain_averaging_and_metrics_are_of_all_images_together(tmp_path: Path) -> None:
    grid = Tapped(clinics := Clinics())
    state = clinics.run(tmp_path, grid, rounds=2)
    expected = start_weights().astype(np.float64)
    for _ in range(2):
        expected = sgd_step(expected.astype(np.float32), *pooled(SIZES))
    assert np.abs(state.weights - expected).max() <= 1e-6
    features, labels = pooled(SIZES)
    together = ClinicEvaluation.from_predictions(labels, probabilities(state.weights.astype(float), features))
    row = state.history[-1]
    assert row.validation_accuracy == together.accuracy
    assert row.validation_balanced_accuracy == together.balanced_accuracy
    assert row.validation_auc == together.auc
    assert row.validation_loss == pytest.approx(together.loss, abs=1e-5)
    assert (row.replied, row.left_out) == (5, "")
    # Of a clinic the server knows that it took part, and no number.
    own = [value for one in row.clinics for name, value in one.to_dict().items() if name != "clinic"]
    assert set(own) == {None, ""}


def test_a_clinic_sends_messages_of_the_protocol_and_no_value_in_clear(tmp_path: Path) -> None:
    grid = Tapped(clinics := Clinics())
    clinics.run(tmp_path, grid, rounds=1)
    kinds = [*STEPS, *(kind if kind != TRAIN else EVALUATE for kind in STEPS)]
    assert [(clinic, kind) for clinic, kind, _ in grid.replies] == [
        (clinic, kind) for kind in kinds for clinic in range(5)
    ]
    for clinic, kind, content in grid.replies:
        assert content is not None
        message = decode_sum(content)  # nothing else is in a reply
        if kind in (TRAIN, EVALUATE):
            values = MaskedVector.from_bytes(message, (len(message) - 4) // 4).values
            # Masks are uniform: of 20 bytes or more, each vector's are as good as none that it hides.
            assert len(np.unique(values)) > 0.99 * len(values), (clinic, kind)


@pytest.mark.parametrize("step", STEPS)
def test_a_clinic_that_falls_away_at_any_step_is_missed_and_nothing_else(tmp_path: Path, step: str) -> None:
    grid = Tapped(clinics := Clinics(), lambda clinic, kind, count: (clinic, kind) == (1, step))
    state = clinics.run(tmp_path, grid, rounds=1)
    in_sum = STEPS.index(step) > STEPS.index(TRAIN)  # its values had come
    row, others = state.history[0], [0, 2, 3, 4]
    assert np.abs(state.weights - trained(list(range(5)) if in_sum else others)).max() <= 1e-6
    assert row.replied == (5 if in_sum else 4)
    assert ("linz: it is not connected" in row.left_out.split("; ")) is not in_sum


def test_with_too_few_left_nothing_is_opened_and_the_next_attempt_follows(tmp_path: Path) -> None:
    grid = Tapped(clinics := Clinics(), lambda clinic, kind, n: kind == TRAIN and clinic < 2 and n == 1)
    state = clinics.run(tmp_path, grid, rounds=1)
    assert [kind for clinic, kind, _ in grid.replies if clinic == 4][:8] == [
        *STEPS[:3],
        *STEPS,
    ]
    assert np.abs(state.weights - trained(list(range(5)))).max() <= 1e-6


def test_a_sum_whose_list_was_sent_is_lost_with_its_round_and_the_run_goes_on(tmp_path: Path) -> None:
    def silent(clinic: int, kind: str, count: int) -> bool:
        return kind == SUM_RELEASE and clinic < 2 and count == 1

    grid = Tapped(clinics := Clinics(), silent)
    state = clinics.run(tmp_path, grid, rounds=2)
    lost, row = state.history
    assert math.isnan(lost.train_loss)
    assert (lost.replied, row.replied) == (0, 5)
    assert lost.left_out.startswith("all: The mask of ")
    assert [kind for clinic, kind, _ in grid.replies if clinic == 4].count(TRAIN) == 2  # once a round
    assert np.abs(state.weights - trained(list(range(5)))).max() <= 1e-6  # of round 2, from the start


def test_a_lost_evaluation_leaves_the_rounds_model(tmp_path: Path) -> None:
    def silent(clinic: int, kind: str, count: int) -> bool:
        return kind == SUM_SURVIVORS and clinic < 2 and count == 2

    state = (clinics := Clinics()).run(tmp_path, Tapped(clinics, silent), rounds=1)
    row = state.history[0]
    assert math.isnan(row.validation_balanced_accuracy)
    assert row.train_loss > 0
    assert "(evaluation)" in row.left_out
    assert np.abs(state.weights - trained(list(range(5)))).max() <= 1e-6


def test_a_run_pauses_with_too_few_clinics_and_goes_on_until_the_attempts_of_a_sum_are_used_up(
    tmp_path: Path,
) -> None:
    clinics = Clinics()

    def silent(clinic: int, kind: str, count: int) -> bool:
        return kind == TRAIN and clinic in (0, 3)

    with pytest.raises(FederationError, match="3 clinics sent their masked vectors, of the 4") as caught:
        clinics.run(tmp_path, Tapped(clinics, silent), rounds=2, attempts=2)
    assert caught.value.where == "graz: it is not connected; vienna: it is not connected"
    state = clinics.run(tmp_path, Tapped(clinics, silent), rounds=1, attempts=2, resume=True)
    assert state.history[0].left_out.startswith("all: The secure sum 'train' of round 1 is lost: all 3")
    assert clinics.run(tmp_path, rounds=2, attempts=2, resume=True).history[1].replied == 5


def test_a_server_that_died_with_a_signed_list_never_asks_for_the_round_again(tmp_path: Path) -> None:
    clinics = Clinics()

    class Dead(Exception):
        pass

    def die(clinic: int, message: Message) -> Message:
        if message.metadata.message_type == SUM_RELEASE:
            raise Dead
        return message

    with pytest.raises(Dead):
        clinics.run(tmp_path, Tapped(clinics, change=die), rounds=2)
    grid = Tapped(clinics)
    state = clinics.run(tmp_path, grid, rounds=2, resume=True)
    assert "clinics may have signed who is in it" in state.history[0].left_out
    assert state.history[1].replied == 5
    # The control: without its file, the server asks again, and every clinic refuses by its own.
    (tmp_path / ATTEMPTS_FILE).unlink()
    grid = Tapped(clinics)
    with pytest.raises(FederationError, match="0 clinics sent their keys"):
        clinics.run(tmp_path / "again", grid, rounds=1)
    assert all(content is None for _, _, content in grid.replies)


def test_no_clinic_trains_another_model_than_the_one_in_the_masks(tmp_path: Path) -> None:
    def swap(clinic: int, message: Message) -> Message:
        if clinic == 2 and message.metadata.message_type == TRAIN:
            crafted = encode_instruction(start_weights() + 1, 1, {})
            content = RecordDict({**message.content, **crafted})
            return Message(content, message.metadata.dst_node_id, TRAIN, group_id="1")
        return message

    worked: list[int] = []

    @dataclass
    class Noted:
        clinic: int

        def train(self, weights: FloatVector, round: int, config: Mapping[str, float]) -> Update:
            worked.append(self.clinic)
            return Regression(*images_of(self.clinic)).train(weights, round, config)

        def evaluate(self, weights: FloatVector, round: int) -> ClinicEvaluation:
            return Regression(*images_of(self.clinic)).evaluate(weights, round)

    clinics = Clinics(trainer=Noted)
    state = clinics.run(tmp_path, Tapped(clinics, change=swap), rounds=1)
    assert worked == [0, 1, 3, 4]
    assert state.history[0].left_out.startswith("salzburg: training failed there (FederationError)")


class Bent(Regression):
    """A trainer whose update is bent."""

    bend: Callable[[FloatVector], FloatVector]

    def train(self, weights: FloatVector, round: int, config: Mapping[str, float]) -> Update:
        update = super().train(weights, round, config)
        return Update(self.bend(update.weights), update.weight, update.metrics)


@pytest.mark.parametrize(("change", "fits"), [(0.9, True), (1.1, False), (math.nan, False)])
def test_a_change_that_does_not_fit_is_refused_and_never_clipped(
    tmp_path: Path, change: float, fits: bool
) -> None:
    def trainer(clinic: int) -> Trainer:
        bent = Bent(*images_of(clinic))
        moved = start_weights() + np.float32(change) * np.eye(PARAMETERS, dtype=np.float32)[3]
        bent.bend = lambda weights: moved if clinic == 2 else weights
        return bent

    clinics = Clinics(privacy={"largest_change": 1.0}, trainer=trainer)
    state = clinics.run(tmp_path, rounds=1)
    assert (state.history[0].replied == 5) is fits
    assert ("salzburg: training failed there" in state.history[0].left_out) is not fits
    if fits:  # all of it is in the mean
        before = start_weights()[3]
        own = [
            Regression(*images_of(clinic)).train(start_weights(), 1, {}).weights[3] for clinic in (0, 1, 3, 4)
        ]
        expected = SIZES[2] * change + sum(
            size * (after - before) for size, after in zip((7, 23, 15, 40), own, strict=True)
        )
        assert state.weights[3] - before == pytest.approx(expected / sum(SIZES), abs=1e-6)


def test_a_clinic_that_sends_random_numbers_costs_a_round_and_not_the_model(tmp_path: Path) -> None:
    """Its own code would refuse such values; the server sees their sum only, which no clinics can have."""

    class Random(Tapped):
        def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
            for reply in super().pull_messages(message_ids):
                clinic, kind, content = self.replies[-1]
                if (clinic, kind) == (2, TRAIN) and self._count[clinic, kind] == 1:
                    assert content is not None
                    size = (len(decode_sum(content)) - 4) // 4
                    numbers = np.random.default_rng(5).integers(0, 2**32, size, np.uint32)
                    reply.content["sum"] = encode_sum(MaskedVector(2, numbers).to_bytes())["sum"]
                yield reply

    clinics = Clinics()
    state = clinics.run(tmp_path, Random(clinics), rounds=2)
    lost, row = state.history
    assert lost.left_out.startswith("all: The sum of the clinics' updates is none of honest clinics: ")
    assert (lost.replied, row.replied) == (0, 5)
    assert np.abs(state.weights - trained(list(range(5)))).max() <= 1e-6  # of round 2, from the start


@pytest.mark.parametrize(
    ("liar", "why"),
    [
        ({"weight": [1e6]}, "their weights are above 1,000,000 images each"),
        ({"change": 3 * np.eye(PARAMETERS)[3]}, "a weight changed by 6"),
        ({"loss": [2e6]}, "the training loss is"),
    ],
)
def test_sums_that_no_clinics_have_are_refused(liar: dict[str, np.ndarray], why: str) -> None:
    agreed = Clinics(privacy={"largest_change": 1.0}).summing
    honest = {"change": np.zeros(PARAMETERS), "weight": np.array([145.0]), "loss": np.array([70.0])}
    sums = {**honest, **{name: 290 * np.asarray(value, np.float64) for name, value in liar.items()}}
    parts = np.zeros(PARAMETERS, np.uint8)

    def mean(of: dict[str, np.ndarray]) -> object:
        group = GroupSum(NAMES, of)
        asked = Instruction(start_weights(), 1, {})
        return mean_of(group, asked, SecureSums(agreed, None, None), parts)  # type: ignore[arg-type]

    assert mean(honest)
    with pytest.raises(SumLostError, match=why):
        mean(sums)


def test_a_clinic_cannot_speak_for_another(tmp_path: Path) -> None:
    class Echo(Tapped):
        """The third clinic sends what the second one sent."""

        def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
            for reply in super().pull_messages(message_ids):
                clinic, kind, _ = self.replies[-1]
                if (clinic, kind) == (2, SUM_KEYS):
                    stolen = next(content for at, _, content in self.replies if at == 1)
                    yield Message(stolen, reply_to=self.last)
                else:
                    yield reply

        def _work(self, message: Message) -> Message:
            self.last = message
            return super()._work(message)

    clinics = Clinics()
    state = clinics.run(tmp_path, Echo(clinics), rounds=1)
    left_out = "salzburg: it replied in the name of another clinic"
    assert state.history[0].left_out == f"{left_out}; {left_out} (evaluation)"


def test_above_64_clinics_a_graph_is_drawn(tmp_path: Path) -> None:
    count = 66
    names = tuple(f"clinic-{number:02d}" for number in range(count))
    clinics = Clinics(names, (9,) * count)
    state = clinics.run(tmp_path, rounds=1)
    assert state.history[0].replied == count
    expected = sgd_step(start_weights(), *pooled((9,) * count))
    assert np.abs(state.weights - expected).max() <= 64 * count**2 / 2**31


def test_the_attempts_are_on_disk_before_anything_is_asked_for(tmp_path: Path) -> None:
    attempts = SumAttempts(tmp_path)
    assert [attempts.begin("train", 1), attempts.begin("train", 1), attempts.begin("evaluate", 1)] == [
        1,
        2,
        1,
    ]
    attempts.send_survivors("evaluate", 1)
    with pytest.raises(SumLostError, match="may have signed"):
        SumAttempts(tmp_path).begin("evaluate", 1)
    assert SumAttempts(tmp_path).begin("train", 1) == 3
    with pytest.raises(SumLostError, match="all 3 attempts failed"):
        attempts.begin("train", 1)
    assert json.loads((tmp_path / ATTEMPTS_FILE).read_text())["train 1"] == {"attempts": 3, "sent": False}
    (tmp_path / ATTEMPTS_FILE).write_text("[]")
    with pytest.raises(FederationError, match="cannot be read"):
        attempts.begin("train", 2)
