"""Rounds over real Flower apps and messages, in process."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, Context, Error, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from dermafed.client.node.client_app import build_client_app
from dermafed.server.rounds.checkpoint import load_best, load_state
from dermafed.server.rounds.exchange import covered_seconds
from dermafed.shared.errors import FederationError
from dermafed.shared.metrics.evaluation import ClinicEvaluation
from dermafed.shared.protocol.messages import encode_update
from dermafed.shared.training.trainer import Update
from dermafed.simulation.engines.local import LocalGrid, run_local
from tests.server.small_clinics import (
    CLASSES,
    NAMES,
    PARAMETERS,
    SIZES,
    pooled,
    probabilities,
    server,
    sgd_step,
    start_weights,
    trainer_for,
)


def test_rounds_of_one_full_batch_step_are_pooled_steps(tmp_path: Path) -> None:
    run_local(server(tmp_path, rounds=4), build_client_app(trainer_for), NAMES)
    expected = start_weights().astype(np.float64)
    for _ in range(4):
        expected = sgd_step(expected.astype(np.float32), *pooled())
    state = load_state(tmp_path)
    assert state.round == 4
    assert np.abs(state.weights - expected).max() <= 1e-6


def test_history_has_metrics_over_all_images_together(tmp_path: Path) -> None:
    seen: list[int] = []
    app = server(tmp_path, rounds=2, on_round=lambda row: seen.append(row.round))
    run_local(app, build_client_app(trainer_for), NAMES)
    assert seen == [1, 2]
    features, labels = pooled()
    scores = probabilities(load_state(tmp_path).weights.astype(np.float64), features)
    together = ClinicEvaluation.from_predictions(labels, scores)
    with (tmp_path / "history.csv").open() as file:
        row = list(csv.DictReader(file))[-1]
    assert int(row["round"]) == 2
    assert int(row["replied"]) == 3
    assert row["left_out"] == ""
    assert float(row["validation_loss"]) == pytest.approx(together.loss, rel=1e-12)
    assert float(row["validation_balanced_accuracy"]) == together.balanced_accuracy
    assert float(row["validation_auc"]) == together.auc
    assert 0 <= float(row["overhead_seconds"]) <= float(row["seconds"])
    start = probabilities(load_state(tmp_path, 1).weights.astype(np.float64), features)
    assert float(row["train_loss"]) == pytest.approx(-np.log(start[np.arange(len(labels)), labels]).mean())


def test_best_round_is_the_first_of_the_highest_balanced_accuracy(tmp_path: Path) -> None:
    run_local(server(tmp_path, rounds=6), build_client_app(trainer_for), NAMES)
    history = load_state(tmp_path).history
    best = load_best(tmp_path)
    assert best.round == 1 + int(np.argmax([row.validation_balanced_accuracy for row in history]))
    assert len(list(tmp_path.glob("round-*.npz"))) <= 4


@pytest.mark.parametrize(("patience", "rounds"), [(1, 3), (2, 7), (3, 8), (None, 8)])
def test_a_run_ends_after_too_many_rounds_that_are_not_better(
    tmp_path: Path, patience: int | None, rounds: int
) -> None:
    accuracies = [0.5, 0.7, 0.7, 0.8, 0.9, 0.2, 0.9, 0.1]  # the best rounds are 1, 2, 4 and 5

    class Evaluator:
        def __init__(self, context: Context) -> None:
            self.train = trainer_for(context).train

        def evaluate(self, weights: np.ndarray, round: int) -> ClinicEvaluation:
            right = int(10 * accuracies[round - 1] + 0.5)
            labels = np.repeat(np.arange(CLASSES), 10)
            predicted = np.where(np.tile(np.arange(10), CLASSES) < right, labels, (labels + 1) % CLASSES)
            return ClinicEvaluation.from_predictions(labels, 0.7 * np.eye(CLASSES)[predicted] + 0.1)

    app = server(tmp_path, rounds=8, patience=patience)
    run_local(app, build_client_app(Evaluator), NAMES)
    state = load_state(tmp_path)
    assert [row.validation_balanced_accuracy for row in state.history] == pytest.approx(accuracies[:rounds])
    run_local(server(tmp_path, rounds=8, patience=patience, resume=True), build_client_app(Evaluator), NAMES)
    assert load_state(tmp_path).round == rounds


def updated(weights: np.ndarray, images: int = 10, loss: float = 1.0) -> RecordDict:
    return encode_update(Update(weights, images, {"loss": loss}), 0.0)


def without(record: str) -> RecordDict:
    content = updated(np.zeros(PARAMETERS, np.float32))
    del content[record]
    return content


def reporting(**report: int | float) -> RecordDict:
    content = updated(np.zeros(PARAMETERS, np.float32))
    content["report"] = MetricRecord(dict(report))
    return content


def false_array(dtype: str, shape: tuple[int, ...], values: np.ndarray) -> RecordDict:
    content = updated(np.zeros(PARAMETERS, np.float32))
    content["weights"] = ArrayRecord({"weights": Array(dtype, shape, "numpy.ndarray", Array(values).data)})
    return content


def changed_weights(value: float) -> np.ndarray:
    weights = np.zeros(PARAMETERS, np.float32)
    weights[7] = value
    return weights


BAD: dict[str, tuple[RecordDict | Error, str]] = {
    "nan": (updated(changed_weights(math.nan)), "not all finite"),
    "infinite": (updated(changed_weights(-math.inf)), "not all finite"),
    "nan loss": (updated(changed_weights(0), loss=math.nan), "metric 'loss'"),
    "shape": (updated(np.zeros(1, np.float32)), "not float32 (18,)"),
    "matrix": (updated(np.zeros((PARAMETERS, 1), np.float32)), "not float32 (18,)"),
    "dtype": (updated(np.zeros(PARAMETERS)), "float64 (18,), not float32"),
    "no images": (updated(changed_weights(0), images=0), "the weight of 0 images"),
    "negative": (updated(changed_weights(0), images=-5), "-5 images"),
    "absurd": (updated(changed_weights(0), images=10**12), "1000000000000 images"),
    "fraction": (reporting(weight=2.5, seconds=0.0), "not a whole number"),
    "no seconds": (reporting(weight=2), "'seconds' is not a number"),
    "no weights": (without("weights"), "'weights' is missing"),
    "no report": (without("report"), "'report' is missing"),
    "other inside": (false_array("float32", (PARAMETERS,), np.zeros(3, np.float32)), "float32 (3,), not"),
    "bomb": (false_array("float32", (PARAMETERS,), np.zeros(9999, np.float32)), "larger than its shape"),
    "objects": (false_array("float32", (PARAMETERS,), np.zeros(2, "S4")), "|S4"),
    "error": (Error(1001, "ValueError"), "training failed there (ValueError)"),
    "talkative error": (Error(1001, "Jane Doe, 1970"), "training failed there (unknown)"),
    "foreign error": (Error(2, "Jane Doe, 1970"), "Flower's error 2"),
}


def client_of(partition: int, reply: Callable[[Message], Message]) -> ClientApp:
    """The ordinary clinics, one of which trains as ``reply`` says."""
    honest, app = build_client_app(trainer_for), ClientApp()

    @app.train()
    def train(message: Message, context: Context) -> Message:
        chosen = context.node_config["partition-id"] == partition
        return reply(message) if chosen else honest(message, context)

    app.evaluate()(honest)
    return app


@pytest.mark.parametrize("name", BAD)
def test_bad_reply_is_left_out_by_name_and_the_round_goes_on(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    content, reason = BAD[name]
    client = client_of(1, lambda message: Message(content, reply_to=message))
    run_local(server(tmp_path, rounds=1), client, NAMES)
    state = load_state(tmp_path)
    assert state.history[0].replied == 2
    assert state.history[0].left_out.startswith("graz: ")
    assert reason in state.history[0].left_out
    assert "Jane" not in state.history[0].left_out + caplog.text
    alone = [trainer_for(context_of(i)).train(start_weights(), 1, {}) for i in (0, 2)]
    expected = (SIZES[0] * alone[0].weights.astype(float) + SIZES[2] * alone[1].weights) / (
        SIZES[0] + SIZES[2]
    )
    assert np.abs(state.weights - expected).max() <= 1e-6


def context_of(partition: int) -> Context:
    return Context(1, partition, {"partition-id": partition}, RecordDict(), {})


def test_below_quorum_is_repeated_then_an_error_and_the_run_can_go_on(tmp_path: Path) -> None:
    asked: list[str] = []

    def refuse(message: Message) -> Message:
        asked.append(message.metadata.group_id)
        return Message(Error(1001, "OSError"), reply_to=message)

    app = server(tmp_path, rounds=2, quorum=1.0, attempts=3)
    with pytest.raises(
        FederationError, match=r"Round 1 got 2 of the 3 .* in the last of 3 .*graz: training failed"
    ):
        run_local(app, client_of(1, refuse), NAMES)
    assert asked == ["1", "1", "1"]
    assert load_state(tmp_path).round == 0
    run_local(server(tmp_path, rounds=2, quorum=1.0, resume=True), build_client_app(trainer_for), NAMES)
    assert load_state(tmp_path).round == 2


def test_a_clinic_that_fails_once_is_asked_again(tmp_path: Path) -> None:
    failures = iter([Error(1001, "OSError")])
    honest = build_client_app(trainer_for)

    def once(message: Message) -> Message:
        error = next(failures, None)
        return Message(error, reply_to=message) if error else honest(message, context_of(1))

    run_local(server(tmp_path, rounds=1, quorum=3), client_of(1, once), NAMES)
    assert load_state(tmp_path).history[0].replied == 3


class SilentGrid(LocalGrid):
    """A grid whose second clinic never answers."""

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        keys = [key for key in message_ids if self._waiting[key].metadata.dst_node_id != 1001]
        return super().pull_messages(keys)


def test_silent_clinic_is_left_out_at_the_deadline(tmp_path: Path) -> None:
    run_local(server(tmp_path / "warm", rounds=1), build_client_app(trainer_for), NAMES)
    grid = SilentGrid(build_client_app(trainer_for), NAMES)
    server(tmp_path / "run", rounds=1, deadline=0.5)(grid, context_of(0))
    row = load_state(tmp_path / "run").history[0]
    assert row.replied == 2
    assert row.left_out == (
        "graz: no reply within 0.5 seconds; graz: no reply within 0.5 seconds (evaluation)"
    )
    assert 1.0 <= row.seconds < 30
    assert row.overhead_seconds >= 0.9


def test_too_few_connected_clinics(tmp_path: Path) -> None:
    app = server(tmp_path, clinics=9, quorum=4, attempts=1, connect_seconds=0)
    with pytest.raises(FederationError, match=r"got 3 of the 4 replies .*3 clinics are connected"):
        run_local(app, build_client_app(trainer_for), NAMES)


def test_bad_evaluation_is_left_out(tmp_path: Path) -> None:
    class Liar:
        def __init__(self, context: Context) -> None:
            self.honest = trainer_for(context)
            self.train = self.honest.train
            self.lies = context.node_config["partition-id"] == 2

        def evaluate(self, weights: np.ndarray, round: int) -> ClinicEvaluation:
            truth = self.honest.evaluate(weights, round)
            return replace(truth, images=truth.images + 1000 * self.lies)

    run_local(server(tmp_path, rounds=1), build_client_app(Liar), NAMES)
    state = load_state(tmp_path)
    assert state.history[0].left_out.startswith("linz: ")
    assert state.history[0].left_out.endswith("(evaluation)")
    features, labels = pooled(SIZES[:2])
    honest = ClinicEvaluation.from_predictions(labels, probabilities(state.weights.astype(float), features))
    assert state.history[0].validation_accuracy == honest.accuracy


def test_exceptions_stay_at_the_clinic(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def broken(context: Context) -> None:
        raise ValueError("/clinic/Jane_Doe.jpg")

    app = server(tmp_path, rounds=1, attempts=1)
    with pytest.raises(FederationError) as caught:
        run_local(app, build_client_app(broken), NAMES)  # type: ignore[arg-type]
    assert "(ValueError)" in str(caught.value)
    assert "Jane" not in str(caught.value)
    assert any(
        "Jane" in str(record.exc_info) for record in caplog.records if record.name == "dermafed.client"
    )


def test_only_adapted_weights_move_by_the_strategy(tmp_path: Path) -> None:
    from dermafed.server.rounds.strategies import make_strategy

    adapted = np.arange(PARAMETERS) % 2 == 0
    client = build_client_app(trainer_for)
    run_local(server(tmp_path / "mean", rounds=1), client, NAMES)
    run_local(server(tmp_path / "adam", rounds=1, strategy=make_strategy("fedadam")), client, NAMES)
    mixed = server(tmp_path / "mixed", rounds=1, strategy=make_strategy("fedadam"), adapted=adapted)
    run_local(mixed, client, NAMES)
    mean, adam = load_state(tmp_path / "mean").weights, load_state(tmp_path / "adam").weights
    assert not np.array_equal(mean, adam)
    np.testing.assert_array_equal(load_state(tmp_path / "mixed").weights, np.where(adapted, adam, mean))


def test_a_clinic_knows_the_number_of_clinics(tmp_path: Path) -> None:
    seen: list[object] = []

    def spy(context: Context) -> object:
        seen.append(context.node_config["num-partitions"])
        return trainer_for(context)

    run_local(server(tmp_path, rounds=1), build_client_app(spy), NAMES)  # type: ignore[arg-type]
    assert seen == [3] * 6


def test_covered_seconds_is_the_length_of_the_union() -> None:
    assert covered_seconds([(4, 6), (0, 1), (0.5, 2), (4.5, 5)]) == 4
    assert covered_seconds([]) == 0
    assert CLASSES == 3
