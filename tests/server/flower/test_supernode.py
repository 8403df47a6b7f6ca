"""A whole small run with a real SuperNode over TLS, and what becomes of one without a right."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Event

import numpy as np
import pytest

from dermafed.client.node.client_app import build_client_app
from dermafed.server.coordinator.agree import agree
from dermafed.server.coordinator.listener import listening
from dermafed.server.flower.fleet_api import fleet_only
from dermafed.server.flower.link import Link
from dermafed.server.rounds.checkpoint import load_state
from dermafed.server.rounds.round_rules import RoundRules
from dermafed.shared.model.model_settings import ModelSettings
from dermafed.simulation.engines.local import run_local
from tests.paths import ROOT
from tests.ports import free_port
from tests.server.coordinator.test_agree import OFFERED
from tests.server.flower.link_side import (
    make_certificates,
    new_key,
    node_in_process,
    public_pem,
    write_private,
)
from tests.server.small_clinics import CLASSES, SIZES, joining_app, lesions, server, trainer_for

pytestmark = pytest.mark.journey

PATIENCE = 300.0  # seconds for what takes five on an idle machine


@contextmanager
def supernode(folder: Path, port: int, ca: Path, key: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A SuperNode in its own process; gives the port of its Runtime API too."""
    runtime, secret = free_port(), folder / "secret"
    secret.write_bytes(os.urandom(32))
    secret.chmod(0o600)
    command = [
        str(Path(sys.executable).with_name("flower-supernode")),
        *("--superlink", f"127.0.0.1:{port}", "--root-certificates", str(ca)),
        *("--auth-supernode-private-key", str(key), "--isolation", "process"),
        *("--host", "127.0.0.1", "--port", str(runtime), "--superexec-auth-secret-file", str(secret)),
        *("--node-config", "partition-id=0 num-partitions=2"),
    ]
    home = {"FLWR_HOME": str(folder / "home")}  # what keeps Flower offline, ``server`` has set
    with (folder / "supernode.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, env={**os.environ, **home}, stdout=log, stderr=log)
        try:
            yield process, runtime
        finally:
            process.kill()
            process.wait()


@contextmanager
def worker(folder: Path, runtime: int) -> Iterator[None]:
    wait_for(lambda: answers(runtime))
    command = [sys.executable, "-m", "tests.server.flower.supernode_worker", f"127.0.0.1:{runtime}"]
    with (folder / "worker.log").open("wb") as log:
        process = subprocess.Popen([*command, str(folder / "secret")], cwd=ROOT, stdout=log, stderr=log)
        try:
            yield
        finally:
            process.kill()
            process.wait()


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def wait_for(what: object, seconds: float = PATIENCE) -> None:
    end = time.monotonic() + seconds
    while not what():  # type: ignore[operator]
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.1)


def test_a_run_with_a_real_supernode_equals_the_one_in_process(tmp_path: Path) -> None:
    run_local(
        server(tmp_path / "local", clinics=2, rounds=2), build_client_app(trainer_for), ("real", "near")
    )
    ca, certificate = make_certificates(tmp_path)
    link, key = Link(tmp_path / "objects"), new_key()
    clinics = {
        link.register("real", public_pem(key)): "real",
        link.register("near", public_pem(new_key())): "near",
    }
    (real, near), node_key = clinics, write_private(key, tmp_path / "node.key")
    offer = replace(OFFERED, model=ModelSettings(classes=("melanoma", "nevus", "naevus2"), image_size=64))
    rules = RoundRules(2, 2, quorum=2, deadline=PATIENCE)
    with (
        listening(fleet_only(link), "127.0.0.1", 0, certificate) as port,
        supernode(tmp_path, port, ca, node_key) as (process, runtime),
        worker(tmp_path, runtime),
        node_in_process(link, near, joining_app(), 1),
        link.open_run() as run_id,
    ):
        wait_for(lambda: {node.id: node.online for node in link.nodes()}[real])
        grid = link.grid(run_id, clinics, Event())
        agreed = agree(grid, clinics, offer, rules, PATIENCE, on_answer=lambda *_: None)
        assert agreed.joined == clinics
        expected = sum(np.bincount(lesions(i, SIZES[i])[1], minlength=CLASSES) for i in (0, 1))
        assert agreed.class_counts == tuple(expected)  # type: ignore[arg-type]
        app = server(tmp_path / "link", clinics=2, rounds=2, quorum=2, deadline=PATIENCE)
        app(grid, None)  # type: ignore[arg-type]
        here, there = load_state(tmp_path / "link"), load_state(tmp_path / "local")
        assert np.abs(here.weights - there.weights).max() <= 1e-6
        for ours, theirs in zip(here.history, there.history, strict=True):
            assert (ours.replied, ours.left_out) == (2, "")
            assert ours.validation_balanced_accuracy == theirs.validation_balanced_accuracy
        assert len(link.state.object_store) == 0
        link.remove(real)
        wait_for(lambda: process.poll() is not None, 60.0)


def test_an_unknown_key_does_not_connect(tmp_path: Path) -> None:
    ca, certificate = make_certificates(tmp_path)
    link = Link(tmp_path / "objects")
    link.register("known", public_pem(new_key()))
    key = write_private(new_key(), tmp_path / "node.key")
    with (
        listening(fleet_only(link), "127.0.0.1", 0, certificate) as port,
        supernode(tmp_path, port, ca, key) as (process, _),
    ):
        wait_for(lambda: process.poll() is not None)
    assert process.returncode != 0
    assert not any(node.online for node in link.nodes())
