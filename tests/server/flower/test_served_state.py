"""What the server's state does otherwise than Flower's."""

from __future__ import annotations

import hashlib
from pathlib import Path
from threading import Event, Thread

import numpy as np
import pytest
from flwr.app import Message

from dermafed.server.flower.link import Link
from dermafed.server.flower.message_store import store_message
from dermafed.server.flower.private_names import (
    get_object_tree,
    label,
    no_object_id_recompute,
    remove_content_from_message,
)
from dermafed.server.flower.served_state import node_id_of
from dermafed.shared.protocol.messages import encode_instruction
from tests.server.flower.link_side import new_key, public_pem


def instruction(node: int) -> Message:
    return Message(encode_instruction(np.ones(2, np.float32), 1, {}), node, "train", ttl=60.0)


@pytest.fixture
def fresh(tmp_path: Path) -> Link:
    return Link(tmp_path / "objects")


def test_the_id_of_a_node_is_of_its_key_and_never_one_of_flowers() -> None:
    expected = int(hashlib.sha256(b"key").hexdigest()[:16], 16) % (2**64 - 2) + 2
    assert node_id_of(b"key") == expected


def test_a_node_can_be_found_activated_and_removed_by_that_id(fresh: Link) -> None:
    key = public_pem(new_key())
    node = fresh.register("vienna", key)
    assert fresh.state.get_node_id_by_public_key(key) == node == node_id_of(key)
    assert fresh.state.activate_node(node, 30.0)
    assert [info.node_id for info in fresh.state.get_node_info(statuses=["online"])] == [node]
    fresh.remove(node)
    assert fresh.state.get_node_id_by_public_key(key) is None
    assert not fresh.state.acknowledge_node_heartbeat(node, 30.0)


def test_a_message_is_delivered_once_although_a_copy_is_made_of_it_later(fresh: Link) -> None:
    node = fresh.register("vienna", public_pem(new_key()))
    fresh.state.activate_node(node, 30.0)
    with fresh.open_run() as run_id:
        message = instruction(node)
        grid = fresh.grid(run_id, {node: "vienna"}, Event())
        (key,) = grid.push_messages([message])
        assert [stub.metadata.message_id for stub in fresh.state.get_message_ins(node, 1)] == [key]
        remove_content_from_message(message)
        assert fresh.state.get_message_ins(node, 1) == []


def test_each_node_gets_its_own_messages_in_the_order_of_sending(fresh: Link) -> None:
    nodes = {fresh.register(name, public_pem(new_key())): name for name in ("graz", "vienna")}
    for node in nodes:
        fresh.state.activate_node(node, 30.0)
    graz, vienna = nodes
    with fresh.open_run() as run_id:
        keys = {
            node: [store_message(fresh.state, run_id, instruction(node)) for _ in range(3)] for node in nodes
        }
        fresh.state.delete_messages({str(keys[graz][1])})
        assert [one.metadata.message_id for one in fresh.state.get_message_ins(graz, 1)] == keys[graz][:1]
        assert [one.metadata.message_id for one in fresh.state.get_message_ins(vienna, None)] == keys[vienna]
        assert [one.metadata.message_id for one in fresh.state.get_message_ins(graz, 5)] == keys[graz][2:]
        assert fresh.state.get_message_ins(graz, 5) == fresh.state.get_message_ins(vienna, 5) == []


def test_a_message_that_is_stored_again_is_not_delivered_again(fresh: Link) -> None:
    node = fresh.register("vienna", public_pem(new_key()))
    fresh.state.activate_node(node, 30.0)
    with fresh.open_run() as run_id:
        message = instruction(node)
        key = store_message(fresh.state, run_id, message)
        assert store_message(fresh.state, run_id, message) == key
        assert len(fresh.state.get_message_ins(node, None)) == 1
        assert store_message(fresh.state, run_id, message) == key
        assert fresh.state.get_message_ins(node, None) == []


def test_a_run_of_another_server_has_ended(fresh: Link) -> None:
    assert fresh.state.get_run_status({5})[5].status == "finished"
    fresh.state.cleanup_run(5)


def test_a_new_message_and_a_session_that_expires_never_stop_each_other(fresh: Link) -> None:
    """Who drops a session holds its lock and takes the state's; who stores waits for it without that."""
    state, node = fresh.state, fresh.register("vienna", public_pem(new_key()))
    state.activate_node(node, 30.0)
    with fresh.open_run() as run_id:
        message = instruction(node)
        with no_object_id_recompute():
            label(message)
            tree = get_object_tree(message)
        stored = (remove_content_from_message(message), tree, state.start_session(run_id))
        with state._lock_object_push_sessions:
            thread = Thread(target=state.store_message_and_object_tree, args=stored)
            thread.start()
            thread.join(0.3)
            assert state.lock.acquire(timeout=10)
            state.lock.release()
        thread.join(60)
        assert state.num_message_ins() == 1
