"""The strategies' steps against Flower's own classes and against worked examples."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from flwr.app import ArrayRecord, ConfigRecord, Message, MessageType, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import strategy as flower

from dermafed.server.rounds.aggregate import StreamingMean
from dermafed.server.rounds.strategies import (
    STRATEGIES,
    State,
    describe_strategy,
    make_strategy,
)
from dermafed.server.rounds.strategies_table import strategies_table
from dermafed.shared.errors import SettingsError
from dermafed.shared.protocol.plan import RunKeys, StrategyName
from dermafed.simulation.engines.local import LocalGrid, become_server_task
from tests.paths import ROOT

PEERS = {
    "fedavg": (flower.FedAvg, {}, {}),
    "fedavgm": (
        flower.FedAvgM,
        {"learning_rate": 0.7, "momentum": 0.8},
        {"server_learning_rate": 0.7, "server_momentum": 0.8},
    ),
    "fedadagrad": (flower.FedAdagrad, {"learning_rate": 0.05, "tau": 0.01}, {"eta": 0.05, "tau": 0.01}),
    "fedadam": (
        flower.FedAdam,
        {"learning_rate": 0.05, "beta_1": 0.8, "beta_2": 0.95, "tau": 0.01},
        {"eta": 0.05, "beta_1": 0.8, "beta_2": 0.95, "tau": 0.01},
    ),
    "fedyogi": (
        flower.FedYogi,
        {"learning_rate": 0.05, "beta_1": 0.8, "beta_2": 0.95, "tau": 0.01},
        {"eta": 0.05, "beta_1": 0.8, "beta_2": 0.95, "tau": 0.01},
    ),
}
IMAGES = (30, 70, 11)


def trained(round: int, clinic: int, weights: np.ndarray) -> np.ndarray:
    noise = np.random.default_rng([round, clinic]).normal(scale=0.1, size=weights.size)
    return (0.9 * weights + noise + 0.05).astype(np.float32)


def flowers_run(peer: flower.FedAvg, start: np.ndarray, rounds: int) -> np.ndarray:
    become_server_task()
    grid = LocalGrid(ClientApp(), ["a", "b", "c"])
    weights = start
    for round in range(1, rounds + 1):
        peer.configure_train(round, ArrayRecord([weights]), ConfigRecord(), grid)
        replies = []
        for clinic, images in enumerate(IMAGES):
            message = Message(RecordDict(), clinic, MessageType.TRAIN)
            metrics = MetricRecord({"num-examples": images})
            arrays = ArrayRecord([trained(round, clinic, weights)])
            replies.append(Message(RecordDict({"arrays": arrays, "metrics": metrics}), reply_to=message))
        result, _ = peer.aggregate_train(round, replies)
        assert result is not None
        weights = result.to_numpy_ndarrays()[0]
    return weights


def our_run(name: str, options: dict[str, float], start: np.ndarray, rounds: int) -> np.ndarray:
    strategy, weights = make_strategy(name, options), start
    state: State = {}
    for round in range(1, rounds + 1):
        mean = StreamingMean(weights.size)
        for clinic, images in enumerate(IMAGES):
            mean.add(trained(round, clinic, weights), images)
        moved, state = strategy.step(weights, mean.result(), state, round)
        weights = moved.astype(np.float32)
    return weights


@pytest.mark.parametrize("name", PEERS)
def test_gives_what_flowers_class_gives(name: str) -> None:
    kind, ours, theirs = PEERS[name]
    start = np.linspace(-1, 1, 50).astype(np.float32)
    expected = flowers_run(kind(min_train_nodes=3, **theirs), start, rounds=6)
    result = our_run(name, ours, start, rounds=6)
    assert np.abs(expected - start).max() > 0.05
    np.testing.assert_allclose(result, expected, rtol=2e-5, atol=2e-6)


def test_worked_example_of_fedavgm() -> None:
    strategy = make_strategy("fedavgm", {"momentum": 0.5})
    first, state = strategy.step(np.array([1.0], np.float32), np.array([2.0]), {}, 1)
    second, _ = strategy.step(first.astype(np.float32), np.array([2.0]), state, 2)
    assert first[0] == 2.0  # change 1
    assert second[0] == 2.5  # half of it again


def test_worked_example_of_fedadagrad() -> None:
    strategy = make_strategy("fedadagrad", {"learning_rate": 1.0, "tau": 1.0})
    first, state = strategy.step(np.array([0.0], np.float32), np.array([3.0]), {}, 1)
    assert first[0] == 0.75  # 3 / (sqrt(9) + 1)
    second, _ = strategy.step(np.array([0.0], np.float32), np.array([4.0]), state, 2)
    assert second[0] == pytest.approx(4 / 6)  # 4 / (sqrt(9 + 16) + 1)


def test_fedprox_sends_mu_to_the_trainers() -> None:
    assert make_strategy("fedprox", {"proximal_mu": 0.3}).instructions() == {"proximal_mu": 0.3}
    assert make_strategy("fedavg").instructions() == {}


def test_every_strategy_has_its_name_and_defaults() -> None:
    assert tuple(STRATEGIES) == get_args(StrategyName)
    for name in STRATEGIES:
        assert describe_strategy(make_strategy(name))["strategy"] == name


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("fedsgd", {}, "Use one of fedavg, fedprox"),
        ("fedavg", {"mu": 1.0}, "no key 'mu'"),
        ("fedadam", {"beta": 1.0}, "no key 'beta'.* Perhaps 'beta_"),
        ("fedadam", {"beta_1": 1.0}, "beta_1 is 1.* from 0 to below 1"),
        ("fedavgm", {"learning_rate": 0.0}, "learning_rate is 0.* above 0"),
        ("fedprox", {"proximal_mu": float("nan")}, "proximal_mu is nan"),
    ],
)
def test_wrong_strategy(name: str, options: dict[str, float], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        make_strategy(name, options)


def test_the_documented_table_is_current() -> None:
    assert strategies_table() in (ROOT / "docs" / "training.md").read_text("utf-8"), strategies_table()


def test_the_exact_head_has_one_round() -> None:
    with pytest.raises(SettingsError, match="exact-head with 32 rounds"):
        RunKeys(strategy="exact-head")
    assert RunKeys(strategy="exact-head", rounds=1).rounds == 1
