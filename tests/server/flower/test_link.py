"""Flower's state behind the server: who may connect, and runs that leave nothing behind."""

from __future__ import annotations

import importlib
import io
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event

import numpy as np
import pytest
from flwr.app import Message
from flwr.clientapp import ClientApp
from flwr.common.config import get_fab_config

from dermafed.client.node.client_app import build_client_app
from dermafed.server.flower.link import Link
from dermafed.server.flower.private_names import Status, make_app_bundle
from dermafed.server.rounds.checkpoint import load_state
from dermafed.server.rounds.exchange import Assignment, exchange
from dermafed.shared.errors import FederationError, SettingsError, StorageError
from dermafed.shared.protocol.messages import encode_instruction
from dermafed.simulation.engines.local import run_local
from tests.server.flower.link_side import new_key, node_in_process, public_pem
from tests.server.small_clinics import NAMES, server, trainer_for


@pytest.fixture
def fresh(tmp_path: Path) -> Link:
    return Link(tmp_path / "objects")


def echo() -> ClientApp:
    app = ClientApp()

    @app.train()
    def train(message: Message, context: object) -> Message:
        return Message(message.content, reply_to=message)

    return app


def test_a_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "objects").touch()
    with pytest.raises(StorageError, match="Cannot write"):
        Link(tmp_path / "objects")


def test_clinics_are_listed_by_name_and_with_whether_they_are_connected(fresh: Link) -> None:
    for name in NAMES:
        fresh.register(name, public_pem(new_key()))
    assert [node.clinic for node in fresh.nodes()] == ["graz", "linz", "vienna"]
    assert not any(node.online for node in fresh.nodes())
    (vienna,) = [node.id for node in fresh.nodes() if node.clinic == "vienna"]
    fresh.state.activate_node(vienna, 30.0)
    seen = {node.clinic: node for node in fresh.nodes()}
    assert seen["vienna"].online
    assert not seen["graz"].online
    fresh.state.deactivate_node(vienna)
    assert not any(node.online for node in fresh.nodes())


def test_a_key_is_one_clinics_and_never_comes_back(link: Link) -> None:
    key = public_pem(new_key())
    node_id = link.register("vienna", key)
    assert link.register("vienna", key) == node_id
    with pytest.raises(SettingsError, match="belongs to another clinic"):
        link.register("graz", key)
    link.remove(node_id)
    link.remove(node_id)
    assert node_id not in [node.id for node in link.nodes()]
    with pytest.raises(SettingsError, match="or to one that was removed"):
        link.register("vienna", key)


def test_a_clinic_has_the_same_node_after_a_restart_and_its_run_has_ended(
    fresh: Link, tmp_path: Path
) -> None:
    key = public_pem(new_key())
    node = fresh.register("vienna", key)
    run = fresh.open_run()
    run_id = run.__enter__()
    again = Link(tmp_path / "other")
    assert again.register("vienna", key) == node
    assert fresh.register("graz", public_pem(new_key())) != node
    status = again.state.get_run_status({run_id})[run_id]
    assert (status.status, status.sub_status) == ("finished", "failed")
    run.__exit__(None, None, None)


def test_a_run_is_closed_with_its_outcome(link: Link) -> None:
    with link.open_run() as done:
        assert link.state.get_run_status({done})[done].status == Status.RUNNING
    with pytest.raises(ValueError, match="broken"), link.open_run() as failed:
        raise ValueError("broken")
    statuses = link.state.get_run_status({done, failed})
    assert {key: (value.status, value.sub_status) for key, value in statuses.items()} == {
        done: ("finished", "completed"),
        failed: ("finished", "failed"),
    }


def test_one_run_at_a_time(link: Link) -> None:
    with link.open_run(), pytest.raises(FederationError, match="Another run is open"), link.open_run():
        pass
    with link.open_run():
        pass


def test_a_machine_that_slept_for_a_day_goes_on_with_its_run(
    link: Link, monkeypatch: pytest.MonkeyPatch
) -> None:
    with link.open_run() as run_id:
        tomorrow = datetime.now(UTC) + timedelta(days=1)
        monkeypatch.setattr("flwr.supercore.corestate.in_memory_corestate.now", lambda: tomorrow)
        assert link.state.get_run_status({run_id})[run_id].status == Status.RUNNING


def test_the_bundle_has_no_code_and_is_always_the_same() -> None:
    bundle = make_app_bundle()
    assert bundle == make_app_bundle()
    assert zipfile.ZipFile(io.BytesIO(bundle.content)).namelist() == ["pyproject.toml"]


def test_the_bundle_names_what_is_installed() -> None:
    components = get_fab_config(make_app_bundle().content)["tool"]["flwr"]["app"]["components"]
    for name, kind in (("serverapp", "ServerApp"), ("clientapp", "ClientApp")):
        module, _, function = components[name].partition(":")
        builder = getattr(importlib.import_module(module), function)
        assert builder.__annotations__["return"] == kind


def sizes(folder: Path) -> int:
    return sum(path.stat().st_size for path in (folder / "objects").iterdir())


def test_weights_of_finished_rounds_do_not_pile_up(fresh: Link, tmp_path: Path) -> None:
    random, size = np.random.default_rng(0), 4 * 2**20
    node_id = fresh.register("vienna", public_pem(new_key()))
    largest = 0
    with fresh.open_run() as run_id, node_in_process(fresh, node_id, echo(), 0):
        grid = fresh.grid(run_id, {node_id: "vienna"}, Event())
        for number in range(10):
            weights = random.random(size // 4, dtype=np.float32)
            content = encode_instruction(weights, number, {})
            done = exchange(
                grid,
                Assignment("train", number, content),
                {node_id: "vienna"},
                300.0,
                lambda clinic, content: 0.0,
            )
            assert done.replied == ["vienna"]
            largest = max(largest, sizes(tmp_path))
            assert len(fresh.state.object_store) == 0
            assert fresh.state.num_message_ins() == fresh.state.num_message_res() == 0
    # A round's model there and back; ten rounds are 80 MiB.
    assert largest <= 2 * (size + 2**16)
    assert sizes(tmp_path) == 0


def test_rounds_over_the_state_are_those_in_process(
    link: Link, nodes: dict[int, str], tmp_path: Path
) -> None:
    run_local(server(tmp_path / "local", clinics=3, rounds=2), build_client_app(trainer_for), NAMES)
    with link.open_run() as run_id:
        workers = [
            node_in_process(link, node, build_client_app(trainer_for), i) for i, node in enumerate(nodes)
        ]
        with workers[0], workers[1], workers[2]:
            server(tmp_path / "link", clinics=3, rounds=2, quorum=3)(
                link.grid(run_id, nodes, Event()),
                None,  # type: ignore[arg-type]
            )
    here, there = load_state(tmp_path / "link"), load_state(tmp_path / "local")
    assert here.round == there.round == 2
    assert np.abs(here.weights - there.weights).max() <= 1e-6
    assert [row.left_out for row in here.history] == ["", ""]
