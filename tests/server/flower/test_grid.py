"""The grid over Flower's state: a run's clinics only, whole replies, and a disk that is full."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from shutil import rmtree
from threading import Event

import numpy as np
import pytest
from flwr.app import Message, MessageType, RecordDict
from flwr.app.message.arraychunk import ArrayChunk

from dermafed.server.flower.grid import LinkGrid
from dermafed.server.flower.link import Link
from dermafed.server.flower.message_store import store_message
from dermafed.server.flower.node_objects import objects_of
from dermafed.server.flower.private_names import (
    get_all_nested_objects,
    get_object_tree,
    label,
    no_object_id_recompute,
    remove_content_from_message,
)
from dermafed.server.flower.spooled_objects import LARGE
from dermafed.server.rounds.exchange import Assignment, exchange
from dermafed.shared.errors import FederationError, StorageError
from dermafed.shared.protocol.flower_records import to_arrays
from dermafed.shared.protocol.messages import encode_instruction
from tests.server.flower.link_side import new_key, public_pem, received


def instruction(node: int, content: RecordDict | None = None, ttl: float = 60.0) -> Message:
    return Message(content or encode_instruction(np.ones(3, np.float32), 1, {}), node, "train", ttl=ttl)


def test_the_grid_knows_the_runs_clinics_only(link: Link, nodes: dict[int, str]) -> None:
    first, second, _ = nodes
    for node in nodes:
        link.state.activate_node(node, 30.0)
    with link.open_run() as run_id:
        grid = link.grid(run_id, {first: "vienna", second: "graz"}, Event())
        assert {node.node_id: node.name for node in grid.get_nodes()} == {first: "vienna", second: "graz"}
        link.state.deactivate_node(second)
        assert list(grid.get_node_ids()) == [first]
        assert grid.run.run_id == run_id
        assert grid.push_messages([instruction(next(reversed(nodes)))]) == []
        assert len(list(grid.push_messages([instruction(first)]))) == 1


def test_a_stopped_run_ends_wherever_it_is(link: Link, nodes: dict[int, str]) -> None:
    stopped = Event()
    node = next(iter(nodes))
    link.state.activate_node(node, 30.0)
    with link.open_run() as run_id:
        grid = link.grid(run_id, nodes, stopped)
        (key,) = grid.push_messages([instruction(node)])
        assert grid.pull_messages([key]) == []
        stopped.set()
        for call in (
            grid.get_nodes,
            lambda: grid.pull_messages([key]),
            lambda: grid.push_messages([instruction(node)]),
        ):
            with pytest.raises(FederationError, match="was stopped"):
                call()


def test_the_model_is_hashed_once_for_all_clinics(
    link: Link, nodes: dict[int, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    deflated: list[ArrayChunk] = []
    deflate = ArrayChunk.deflate

    def noted(chunk: ArrayChunk) -> bytes:
        deflated.append(chunk)
        return deflate(chunk)

    def times(clinics: dict[int, str], weight: float) -> int:
        """How often the model is made into what is hashed or stored, as it is sent to some clinics."""
        deflated.clear()
        content = encode_instruction(np.full(3, weight, np.float32), 1, {})
        exchange(link.grid(run_id, nodes, Event()), Assignment("train", 1, content), clinics, 0.0, accept)
        return len(deflated)

    def accept(clinic: str, content: RecordDict) -> float:
        raise AssertionError("nobody replies")

    monkeypatch.setattr(ArrayChunk, "deflate", noted)
    for node in nodes:
        link.state.activate_node(node, 30.0)
    with link.open_run() as run_id:
        assert 0 < times(dict([*nodes.items()][:1]), 1.0) == times(nodes, 2.0)


def half_a_reply(link: Link, run_id: int, node: int, key: str, content: RecordDict) -> dict[str, bytes]:
    """A reply is announced, and its objects are about to be sent."""
    link.state.get_message_ins(node, 1)
    reply = Message(content, reply_to=received(link, key))
    with no_object_id_recompute():
        label(reply)
        objects = {name: part.deflate() for name, part in get_all_nested_objects(reply).items()}
        with objects_of(node):
            stored, lacking = link.state.store_message_and_object_tree(
                remove_content_from_message(reply), get_object_tree(reply), link.state.start_session(run_id)
            )
    assert stored
    return {name: objects[name] for name in lacking}


def put(link: Link, node: int, name: str, data: bytes) -> None:
    """An object of the reply arrives."""
    with objects_of(node):
        link.state.object_store.put(name, data)


@pytest.fixture
def opened(link: Link, nodes: dict[int, str]) -> Iterator[tuple[int, int]]:
    """An open run's id, and a connected clinic's node id."""
    node = next(iter(nodes))
    link.state.activate_node(node, 30.0)
    with link.open_run() as run_id:
        yield run_id, node


def test_a_reply_is_there_when_all_of_it_is(
    link: Link, nodes: dict[int, str], opened: tuple[int, int]
) -> None:
    run_id, node = opened
    grid = link.grid(run_id, nodes, Event())
    (key,) = grid.push_messages([instruction(node)])
    content = RecordDict({"weights": to_arrays(weights=np.arange(5, dtype=np.float32))})
    objects = half_a_reply(link, run_id, node, key, content)
    assert len(objects) >= 4
    for name, data in objects.items():
        assert grid.pull_messages([key]) == []
        put(link, node, name, data)
    (reply,) = grid.pull_messages([key])
    assert reply.content["weights"]["weights"].numpy().tolist() == [0, 1, 2, 3, 4]  # type: ignore[index, union-attr]
    assert len(link.state.object_store) == 0


def test_a_reply_that_never_becomes_whole_is_an_error(
    link: Link, nodes: dict[int, str], opened: tuple[int, int]
) -> None:
    run_id, node = opened
    grid = LinkGrid(link.state, run_id, nodes, Event(), stalled_seconds=0.3)
    (key,) = grid.push_messages([instruction(node)])
    objects = half_a_reply(link, run_id, node, key, encode_instruction(np.ones(9, np.float32), 1, {}))
    name, data = objects.popitem()
    put(link, node, name, data)
    assert grid.pull_messages([key]) == []
    time.sleep(0.4)
    (reply,) = grid.pull_messages([key])
    assert reply.has_error()
    assert reply.error.reason == "incomplete"
    assert len(link.state.object_store) == 0


def test_a_reply_that_is_not_a_message_is_an_error(
    link: Link, nodes: dict[int, str], opened: tuple[int, int]
) -> None:
    run_id, node = opened
    grid = link.grid(run_id, nodes, Event())
    (key,) = grid.push_messages([instruction(node)])
    objects = half_a_reply(link, run_id, node, key, encode_instruction(np.ones(9, np.float32), 1, {}))
    store = link.state.object_store
    with objects_of(node):
        for name in objects:  # past the check of what arrives
            store._inner.put(store._name(name), b"nonsense")
    (reply,) = grid.pull_messages([key])
    assert reply.has_error()
    assert reply.error.reason == "unreadable"


def test_an_unanswered_message_is_removed_with_the_next_one(
    link: Link, nodes: dict[int, str], opened: tuple[int, int]
) -> None:
    run_id, node = opened
    grid = link.grid(run_id, nodes, Event())
    (late,) = grid.push_messages([instruction(node)])
    link.state.get_message_ins(node, 1)
    message = received(link, late)
    (key,) = grid.push_messages([instruction(node)])
    assert link.state.num_message_ins() == 1
    assert store_message(link.state, run_id, Message(RecordDict(), reply_to=message)) is None
    assert [entry.metadata.message_id for entry in link.state.get_message_ins(node, 2)] == [key]


def test_a_clinic_that_is_gone_or_removed_is_named(link: Link, nodes: dict[int, str]) -> None:
    gone, removed, _ = nodes
    content = encode_instruction(np.ones(3, np.float32), 1, {})
    with link.open_run() as run_id:
        grid = link.grid(run_id, nodes, Event())
        link.state.activate_node(gone, 30.0)
        link.state.deactivate_node(gone)
        link.remove(removed)
        done = exchange(
            grid, Assignment(MessageType.TRAIN, 1, content), nodes, 120.0, lambda clinic, content: 0.0
        )
    assert done.replied == []
    assert done.left_out == {
        "vienna": "it is not connected",
        "graz": "the message could not be sent",
        "linz": "the message could not be sent",
    }


def test_a_message_that_finds_no_place_on_the_disk_is_named(tmp_path: Path) -> None:
    link = Link(tmp_path / "objects")
    node = link.register("vienna", public_pem(new_key()))
    link.state.activate_node(node, 30.0)
    large = encode_instruction(np.ones(LARGE, np.float32), 1, {})
    with link.open_run() as run_id:
        grid = link.grid(run_id, {node: "vienna"}, Event())
        rmtree(tmp_path / "objects")
        with pytest.raises(StorageError, match="its disk is not full"):
            grid.push_messages([Message(large, node, MessageType.TRAIN)])


def test_a_message_waits_for_its_node_once_replies_are_asked_for(
    link: Link, nodes: dict[int, str], opened: tuple[int, int]
) -> None:
    run_id, node = opened
    grid = link.grid(run_id, nodes, Event())
    (key,) = grid.push_messages([instruction(node)])
    assert not link.inboxes.take(node)
    assert grid.pull_messages([key]) == []
    assert link.inboxes.take(node)
    grid.pull_messages([key])
    assert not link.inboxes.take(node)  # it is told once


def test_a_suspended_clinic_is_not_asked(link: Link, nodes: dict[int, str]) -> None:
    suspended: set[str] = set()
    for node in nodes:
        link.state.activate_node(node, 30.0)
    with link.open_run() as run_id:
        grid = link.grid(run_id, nodes, Event(), lambda: suspended)
        first, *others = sorted(nodes)
        assert sorted(grid.get_node_ids()) == [first, *others]
        suspended.add(nodes[first])
        assert sorted(grid.get_node_ids()) == others
        suspended.update(nodes.values())
        assert list(grid.get_node_ids()) == []
        suspended.clear()
        assert sorted(grid.get_node_ids()) == [first, *others]
