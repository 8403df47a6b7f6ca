"""The private names of Flower that the engines use, and what they use them for.

An update of Flower that moves or changes one of these fails here, not in a run.
"""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

from flwr.app import ConfigRecord, Message, MessageType, RecordDict

from dermafed.server.flower.fleet_calls import NODE_CALLS, WITH_OBJECTS
from dermafed.server.flower.node_objects import NodeObjectStore
from dermafed.server.flower.private_names import (
    NOOP_ACCOUNT_NAME,
    NOOP_FEDERATION_ID,
    NOOP_FLWR_AID,
    PROTOBUF_REQUEST_TYPES,
    ErrorCode,
    NodeStatus,
    PushMessagesRequest,
    Status,
    SubStatus,
    TaskType,
    become_task,
    error_instead,
    fleet_handlers,
    get_all_nested_objects,
    get_object_tree,
    inflate,
    iterate_object_tree,
    label,
    no_object_id_recompute,
    remove_content_from_message,
)
from dermafed.server.flower.served_state import ServedState
from dermafed.server.flower.spooled_objects import SpooledObjects
from dermafed.server.rounds.exchange import LOST
from dermafed.simulation.engines.local import SERVER_NODE, NodeInfo, Run, become_server_task
from tests.paths import ROOT

PUBLIC = {"flwr.app", "flwr.clientapp", "flwr.serverapp", "flwr.simulation"}


def test_a_message_can_be_made_in_this_process() -> None:
    become_server_task()
    message = Message(RecordDict(), 1000, MessageType.TRAIN)
    assert message.metadata.src_node_id == SERVER_NODE
    assert message.metadata.dst_node_id == 1000


def test_a_node_has_an_id_and_a_name() -> None:
    node = NodeInfo(node_id=7, name="graz")
    assert (node.node_id, node.name) == (7, "graz")
    assert NodeInfo(node_id=7).name == ""


def test_a_run_can_be_made() -> None:
    assert Run.create_empty(run_id=3).run_id == 3


ADAPTERS = {
    ROOT / "client" / "node" / "flower",
    ROOT / "server" / "flower",
    ROOT / "simulation" / "engines",
}


def test_no_other_module_imports_private_names() -> None:
    for package in ("shared", "server", "client", "simulation"):
        for path in (ROOT / package).rglob("*.py"):
            imported = set(re.findall(r"^\s*(?:from|import) (flwr[\w.]*)", path.read_text(), re.MULTILINE))
            assert path.parent in ADAPTERS or imported <= PUBLIC, path


def test_nodes_runs_and_messages_are_in_flowers_state(tmp_path: Path) -> None:
    state = ServedState(NodeObjectStore(SpooledObjects(tmp_path / "objects")))
    node = state.create_node(NOOP_FLWR_AID, NOOP_ACCOUNT_NAME, b"key", 30.0, name="graz")
    assert state.get_node_id_by_public_key(b"key") == node
    assert state.activate_node(node, 30.0)
    assert [info.name for info in state.get_node_info(statuses=[NodeStatus.ONLINE])] == ["graz"]
    run = state.create_run(
        "a/b", "1.0.0", "0" * 64, {}, NOOP_FEDERATION_ID, None, NOOP_FLWR_AID, TaskType.SERVER_APP
    )
    task = state.get_run_info(run_ids=[run])[0].primary_task_id
    assert task is not None
    assert state.claim_task(task)
    assert state.activate_task(task)
    state.keep_running(task)
    become_task(task, run)
    message = Message(RecordDict({"a": ConfigRecord({"b": 1})}), node, MessageType.TRAIN)
    assert message.metadata.run_id == run
    with no_object_id_recompute():
        label(message)
        objects = get_all_nested_objects(message)
        tree = get_object_tree(message)
        session = state.start_session(run)
        bare = remove_content_from_message(message)
        stored, lacking = state.store_message_and_object_tree(bare, tree, session)
        assert stored
        assert set(lacking) == set(objects) == {part.object_id for part in iterate_object_tree(tree)}
        assert all(state.store_object(run, session, key, objects[key].deflate()) for key in lacking)
    (stub,) = state.get_message_ins(node, 1)
    contents = {key: state.object_store.get(key) or b"" for key in lacking}
    assert inflate(stub.metadata.message_id, contents).content["a"] == ConfigRecord({"b": 1})
    assert state.get_message_res({stub.metadata.message_id}, run) == []
    assert error_instead(stub, 4, "why").error.reason == "why"
    assert state.finish_task(task, SubStatus.COMPLETED, "")
    assert state.get_run_status({run})[run].status == Status.FINISHED
    state.cleanup_run(run)
    assert len(state.object_store) == 0
    state.delete_node(NOOP_FLWR_AID, node)
    assert state.get_node_id_by_public_key(b"key") is None


def test_the_codes_of_lost_replies_are_flowers() -> None:
    codes = (
        ErrorCode.MESSAGE_UNAVAILABLE,
        ErrorCode.REPLY_MESSAGE_UNAVAILABLE,
        ErrorCode.NODE_UNAVAILABLE,
        ErrorCode.CLIENT_APP_CRASHED,
    )
    assert set(LOST) == set(codes)


def test_every_call_of_a_node_has_flowers_handler_and_names_the_node() -> None:
    for path in NODE_CALLS:
        call, request = path.rpartition("/")[2], PROTOBUF_REQUEST_TYPES["POST", path]
        handler = inspect.signature(getattr(fleet_handlers, call.replace("-", "_")))
        parameters = ["request", "state", *(["store"] if call in WITH_OBJECTS else [])]
        assert list(handler.parameters) == parameters, call
        named = {"public_key"} if call == "activate-node" else {"node", "node_id"}
        assert named & set(request.DESCRIPTOR.fields_by_name), call
    fields = set(PushMessagesRequest.DESCRIPTOR.fields_by_name)
    assert {"node", "messages_list", "message_object_trees"} <= fields


def test_flower_is_set_offline_before_it_is_imported() -> None:
    code = (
        "import dermafed.server.rounds.server_app, dermafed.client.node.client_app; "
        "import dermafed.simulation.engines.local; "
        "import flwr.supercore.telemetry as telemetry, flwr.supercore.logger as logger; "
        "assert telemetry.FLWR_TELEMETRY_ENABLED == '0'; assert logger.console_handler.level == 40"
    )
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("FLWR_", "RAY_"))}
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=clean, check=True, timeout=60)
