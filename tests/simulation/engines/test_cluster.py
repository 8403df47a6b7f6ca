"""A Ray cluster of two nodes gives what ``local`` gives; one that does not answer is refused plainly.

Tests that start Ray are slow.
"""

from __future__ import annotations

import importlib.util
import json
import socket
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest
from flwr.app import Context

from dermafed.client.node.client_app import build_client_app
from dermafed.client.node.trainer_cache import TrainerCache
from dermafed.server.rounds.checkpoint import load_state
from dermafed.shared.errors import FederationError, SettingsError
from dermafed.shared.training.trainer import Trainer
from dermafed.simulation.engines import cluster
from dermafed.simulation.engines.cluster import check_cluster
from dermafed.simulation.engines.engine_settings import EngineSettings
from dermafed.simulation.engines.local import run_local
from dermafed.simulation.engines.ray import run_ray
from tests.server.small_clinics import Regression, lesions, server, trainer_for

pytestmark = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed")

NAMES = ("vienna", "graz", "linz")


@dataclass(frozen=True)
class NotedTrainers:
    """Builds each clinic's trainer, and notes on which Ray node."""

    folder: Path

    def __call__(self, context: Context) -> Trainer:
        import ray

        if ray.is_initialized():
            (self.folder / ray.get_runtime_context().get_node_id()).touch()
            time.sleep(1)  # so that one worker cannot do the work of both
        return trainer_for(context)


@pytest.fixture
def two_nodes() -> Iterator[Any]:
    """A cluster of two nodes of one core each, on this machine."""
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "object_store_memory": 80_000_000, "include_dashboard": False}
    # A busy machine takes longer than Ray's minute to start a worker.
    patient = {"_system_config": {"worker_register_timeout_seconds": 900}}
    nodes = Cluster(initialize_head=True, head_node_args=node | patient)
    try:
        nodes.add_node(**node)
        nodes.wait_for_nodes()
        yield nodes
    finally:
        nodes.shutdown()


def wait_until_it_is_forgotten(address: str) -> None:
    """Wait until a lost machine is none of a cluster's; until then it is named."""
    end = time.monotonic() + 120
    while True:
        try:
            return check_cluster(address, [])
        except SettingsError as error:
            if "does not answer" not in str(error) or time.monotonic() > end:
                raise


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of a port that takes connections and says nothing."""
    with closing(socket.create_server(("127.0.0.1", 0))) as port:
        yield f"127.0.0.1:{port.getsockname()[1]}"


@pytest.mark.slow
def test_two_nodes_give_what_local_gives(two_nodes: Any, tmp_path: Path) -> None:
    used = tmp_path / "used"
    used.mkdir()
    client = build_client_app(TrainerCache(NotedTrainers(used)))
    run_local(server(tmp_path / "local", rounds=2), client, NAMES)
    run_ray(
        server(tmp_path / "ray", rounds=2), client, NAMES, address=two_nodes.address, folder=tmp_path / "ray"
    )
    here, there = load_state(tmp_path / "local"), load_state(tmp_path / "ray")
    assert there.round == 2
    np.testing.assert_allclose(there.weights, here.weights, rtol=1e-6, atol=1e-7)
    assert there.history[1].validation_auc == pytest.approx(here.history[1].validation_auc)
    nodes = {node.node_id for node in two_nodes.list_all_nodes()}
    assert len(nodes) == 2
    assert {path.name for path in used.iterdir()} == nodes
    # The cluster is there for the next run.
    check_cluster(two_nodes.address, [tmp_path])
    with pytest.raises(SettingsError, match=r"does not see /nowhere.*where all of them see it"):
        check_cluster(two_nodes.address, [Path("/nowhere")])


def one_of_a_hundred(context: Context) -> Trainer:
    clinic = int(context.node_config["partition-id"])
    features, labels = lesions(clinic, 6 + clinic % 40)
    return Regression(features - clinic / 2, labels)  # without the distance between clinics


@pytest.mark.slow
def test_a_hundred_clinics_and_ten_rounds_give_what_local_gives(two_nodes: Any, tmp_path: Path) -> None:
    client = build_client_app(TrainerCache(one_of_a_hundred))
    run_local(server(tmp_path / "local", rounds=10, clinics=100), client, 100)
    folder = tmp_path / "ray"
    run_ray(server(folder, rounds=10, clinics=100), client, 100, address=two_nodes.address, folder=tmp_path)
    here, there = load_state(tmp_path / "local"), load_state(folder)
    assert [row.replied for row in there.history] == [100] * 10
    np.testing.assert_allclose(there.weights, here.weights, rtol=1e-5, atol=1e-6)
    scores = [[row.validation_auc for row in state.history] for state in (there, here)]
    assert scores[0] == pytest.approx(scores[1], abs=1e-6)


@pytest.mark.slow
def test_a_machine_that_is_lost_ends_the_run_which_can_go_on(two_nodes: Any, tmp_path: Path) -> None:
    used = tmp_path / "used"
    used.mkdir()
    client = build_client_app(NotedTrainers(used))  # no cache: a second of work for each message
    run_local(server(tmp_path / "local", rounds=3), client, NAMES)
    (other,) = two_nodes.worker_nodes

    def lose() -> None:
        while not (tmp_path / "ray" / "round-0001.npz").exists():
            time.sleep(0.05)
        while other.node_id not in {path.name for path in used.iterdir()}:
            time.sleep(0.05)
        two_nodes.remove_node(other, allow_graceful=False)

    losing = Thread(target=lose, daemon=True)
    losing.start()
    with pytest.raises(FederationError, match="Ray has lost a machine or a worker") as error:
        run_ray(
            server(tmp_path / "ray", rounds=3),
            client,
            NAMES,
            address=two_nodes.address,
            folder=tmp_path / "ray",
        )
    losing.join()
    assert "--resume" in error.value.remedy
    stopped = load_state(tmp_path / "ray")
    assert 1 <= stopped.round < 3
    assert all(row.replied == len(NAMES) and not row.left_out for row in stopped.history)
    wait_until_it_is_forgotten(two_nodes.address)
    run_ray(
        server(tmp_path / "ray", rounds=3, resume=True),
        client,
        NAMES,
        address=two_nodes.address,
        folder=tmp_path / "ray",
    )
    here, there = load_state(tmp_path / "local"), load_state(tmp_path / "ray")
    assert there.round == 3
    assert all(row.replied == len(NAMES) for row in there.history)
    np.testing.assert_allclose(there.weights, here.weights, rtol=1e-6, atol=1e-7)


@pytest.mark.slow
def test_a_port_that_is_no_clusters_is_refused(silent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "PROBE_SECONDS", 12.0)
    start = time.monotonic()
    with pytest.raises(FederationError, match="No Ray cluster answers in time"):
        check_cluster(silent, [])
    assert time.monotonic() - start < 30


def test_a_refused_address_is_told_at_once(
    tmp_path: Path, silent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as port:
        address = f"127.0.0.1:{port.getsockname()[1]}"  # free again below
    with pytest.raises(FederationError, match=r"No Ray cluster answers: .*refused") as error:
        run_ray(server(tmp_path), build_client_app(trainer_for), NAMES, address=address)
    assert error.value.where == address
    assert "ray status" in error.value.remedy


def test_a_host_that_is_silent_is_told_after_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    def connect(address: tuple[str, int], timeout: float) -> socket.socket:
        assert (address, timeout) == (("10.9.8.7", 6379), 10)
        raise TimeoutError("timed out")

    monkeypatch.setattr(cluster.socket, "create_connection", connect)
    with pytest.raises(FederationError, match=r"No Ray cluster answers: .*timed out"):
        check_cluster("10.9.8.7:6379", [])


def test_what_the_probe_says_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    class Done:
        returncode, stdout, stderr = (
            0,
            "a line of Ray\n" + json.dumps(["graz (10.0.0.2) has no DermaFed"]),
            "",
        )

    monkeypatch.setattr(cluster.subprocess, "run", lambda *args, **kwargs: Done)
    with pytest.raises(SettingsError, match=r"graz \(10\.0\.0\.2\) has no DermaFed.*Install the same"):
        check_cluster("auto", [])
    Done.stdout = "[]"
    check_cluster("auto", [])
    Done.returncode, Done.stderr = 1, "a warning\nVersion mismatch: Ray 2.40, Ray 2.55\n"
    with pytest.raises(FederationError, match="cannot be used: Version mismatch"):
        check_cluster("auto", [])


@pytest.mark.parametrize("address", ["here", "here:", ":6379", "ray://here:10001", "here:0", "here:65536"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(SettingsError, match="not the address of a Ray cluster"):
        EngineSettings(engine="ray", address=address)


def test_an_address_is_of_the_engine_ray() -> None:
    assert EngineSettings(engine="ray", address="[::1]:6379").address == "[::1]:6379"
    assert EngineSettings(engine="ray", address="auto").to_dict() == {"engine": "ray", "address": "auto"}
    assert EngineSettings().to_dict() == {"engine": "local"}
    with pytest.raises(SettingsError, match=r"The engine local has no address.*Choose the engine ray"):
        EngineSettings(address="auto")
