"""A clinic's client and the server's port: what a message and its reply take, and what is not taken."""

from __future__ import annotations

import errno
import hashlib
import os
from collections import Counter
from collections.abc import Iterator
from functools import partial
from tempfile import SpooledTemporaryFile

import httpx
import numpy as np
import pytest
from flwr.app import ConfigRecord, Message
from flwr.common.serde import message_to_proto
from flwr.proto.fleet_pb2 import PullMessagesRequest, PushMessagesRequest, PushMessagesResponse
from flwr.proto.message_pb2 import PushObjectRequest, PushObjectResponse
from flwr.proto.node_pb2 import Node
from flwr.supercore.inflatable.inflatable_utils import (
    inflate_object_from_contents,
    pull_objects,
    push_objects,
)
from flwr.supernode import fleet_http_connection

from dermafed.client.node.flower import bundles as client_side
from dermafed.client.node.flower.polls import PollingClient
from dermafed.server.coordinator.listener import listening
from dermafed.server.flower import spooled_objects
from dermafed.server.flower.private_names import (
    get_all_nested_objects,
    get_object_tree,
    iterate_object_tree,
    label,
    no_object_id_recompute,
    remove_content_from_message,
)
from dermafed.shared.errors import StorageError
from dermafed.shared.protocol.agreement import encode_ready
from dermafed.shared.protocol.bundles import OBJECTS, RECEIVE, REPLY, pack
from dermafed.shared.protocol.messages import (
    decode_instruction,
    decode_update,
    encode_instruction,
    encode_update,
)
from dermafed.shared.training.trainer import FloatVector, Update
from tests.attacks.wire import FOUR, Place, objects_in


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("bundles"))


@pytest.fixture(scope="module")
def port(place: Place) -> Iterator[int]:
    with place.public() as port:
        yield port


@pytest.fixture(autouse=True)
def our_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleet_http_connection, "FleetHttpClient", PollingClient)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """The calls of a node, by path."""
    calls, send = Counter[str](), httpx.Client.send

    def counting(self: httpx.Client, request: httpx.Request, **settings: object) -> httpx.Response:
        calls[request.url.path] += 1
        return send(self, request, **settings)  # type: ignore[arg-type]

    monkeypatch.setattr(httpx.Client, "send", counting)
    return calls


def exchanged(place: Place, port: int, weights: FloatVector) -> tuple[Message, Message]:
    """A message to a clinic and its reply, by Flower's own functions of a node: what each side got."""
    key = place.keys[0]
    place.link.state.deactivate_node(place.nodes[0])
    with (
        place.link.open_run() as run_id,
        fleet_http_connection.http_request_response(
            f"127.0.0.1:{port}", False, str(place.ca), (key, key.public_key())
        ) as (_, receive, send, _, _, pull, push, confirm),
    ):
        grid = place.grid(run_id)
        content = encode_instruction(weights, 1, {})
        (asked,) = grid.push_messages([Message(content, place.nodes[0], "train")])
        assert list(grid.pull_messages([asked])) == []
        taken = receive()
        assert taken is not None
        stub, tree = taken
        names = [part.object_id for part in iterate_object_tree(tree)]
        message = inflate_object_from_contents(asked, pull_objects(names, partial(pull, run_id)))
        assert isinstance(message, Message)
        confirm(run_id, stub.metadata.message_id)
        message.metadata.__dict__["_message_id"] = stub.metadata.message_id
        reply = Message(encode_update(Update(weights + 1, 3, {}), 1.0), reply_to=message)
        with no_object_id_recompute():
            label(reply)
            missing, session = send(reply, get_object_tree(reply), 0.0)
            objects = get_all_nested_objects(reply)
            push_objects(objects, partial(push, run_id, session), object_ids_to_push=missing)
        (arrived,) = grid.pull_messages([asked])
        assert len(place.link.state.object_store) == 0
    return message, arrived


def test_a_message_with_a_small_model_takes_one_call_and_its_reply_one(
    place: Place, port: int, counted: Counter[str]
) -> None:
    weights = np.arange(1000, dtype=np.float32)
    message, arrived = exchanged(place, port, weights)
    assert np.array_equal(decode_instruction(message.content).weights, weights)
    assert np.array_equal(decode_update(arrived.content, 1000)[0].weights, weights + 1)
    del counted["/v1/fleet/send-node-heartbeat"]
    assert counted == {
        "/v1/fleet/activate-node": 1,
        RECEIVE: 1,
        REPLY: 1,
        "/v1/fleet/deactivate-node": 1,
    }


def test_a_model_of_12_mb_comes_in_its_three_chunks_and_goes_in_three_calls(
    place: Place, port: int, counted: Counter[str]
) -> None:
    weights = np.random.default_rng(0).normal(size=3_000_000).astype(np.float32)
    _, arrived = exchanged(place, port, weights)
    assert np.array_equal(decode_update(arrived.content, weights.size)[0].weights, weights + 1)
    assert (counted["/v1/fleet/pull-object"], counted[REPLY], counted[OBJECTS]) == (3, 1, 2)
    assert counted["/v1/fleet/push-object"] == counted["/v1/fleet/push-messages"] == 0


def test_a_reply_whose_sending_broke_off_is_sent_again(
    place: Place, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server got it, and its answer was lost."""
    call, broken = client_side.BundlingClient._call, []

    def breaking(self: client_side.BundlingClient, path: str, *rest: object) -> object:
        answer = call(self, path, *rest)  # type: ignore[arg-type]
        if path == REPLY and not broken:
            broken.append(path)
            raise httpx.ReadError("cut")
        return answer

    monkeypatch.setattr(client_side.BundlingClient, "_call", breaking)
    _, arrived = exchanged(place, port, np.ones(4, np.float32))
    assert broken == [REPLY]
    assert np.array_equal(decode_update(arrived.content, 4)[0].weights, np.full(4, 2.0))


def test_a_server_without_these_calls_gets_flowers_own(place: Place, counted: Counter[str]) -> None:
    key = place.keys[1]
    place.link.state.deactivate_node(place.nodes[1])
    with (
        listening(place.stock, "127.0.0.1", 0, place.certificate) as stock,
        place.link.open_run() as run_id,
        fleet_http_connection.http_request_response(
            f"127.0.0.1:{stock}", False, str(place.ca), (key, key.public_key())
        ) as (_, receive, send, _, _, pull, push, confirm),
    ):
        content = encode_instruction(np.ones(4, np.float32), 1, {})
        (asked,) = place.grid(run_id).push_messages([Message(content, place.nodes[1], "train")])
        taken = receive()
        assert taken is not None
        names = {part.object_id for part in iterate_object_tree(taken[1])}
        message = inflate_object_from_contents(asked, {name: pull(run_id, name) for name in names})
        assert isinstance(message, Message)
        confirm(run_id, asked)
        message.metadata.__dict__["_message_id"] = asked
        reply = Message(encode_update(Update(np.ones(4, np.float32), 3, {}), 1.0), reply_to=message)
        with no_object_id_recompute():
            label(reply)
            missing, session = send(reply, get_object_tree(reply), 0.0)
            for name, part in get_all_nested_objects(reply).items():
                push(run_id, session, name, part.deflate())
    assert {path: count for path, count in counted.items() if "node" not in path} == {
        RECEIVE: 1,
        "/v1/fleet/pull-messages": 1,
        "/v1/fleet/pull-object": len(names),
        "/v1/fleet/confirm-message-received": 1,
        "/v1/fleet/push-messages": 1,
        "/v1/fleet/push-object": len(missing),
    }


class Bundled:
    """Clinic 0 replies to a message by one call of its own making."""

    def __init__(
        self, place: Place, port: int, run_id: int, kind: str = "query.prepare", weights: FloatVector = FOUR
    ) -> None:
        self.place, self.run_id, self.grid = place, run_id, place.grid(run_id)
        self.key, self.asked = place.asked(self.grid, 0, kind, weights)
        self.caller = place.caller(0, port)

    def announcement(self, reply: Message, node: int | None = None) -> PushMessagesRequest:
        with no_object_id_recompute():
            label(reply)
            tree = get_object_tree(reply)
        return PushMessagesRequest(
            node=Node(node_id=self.place.nodes[0] if node is None else node),
            messages_list=[message_to_proto(remove_content_from_message(reply))],
            message_object_trees=[tree],
        )

    def post(self, path: str, body: bytes) -> httpx.Response:
        return self.caller.http.post(path, content=body, headers=self.caller.headers())


def test_a_reply_in_one_call_arrives(place: Place, port: int) -> None:
    with place.link.open_run() as run_id:
        clinic = Bundled(place, port, run_id)
        reply = Message(encode_ready(1.5), reply_to=clinic.asked)
        body = pack(clinic.announcement(reply).SerializeToString(), objects_in(reply))
        answer = clinic.post(REPLY, body)
        assert list(PushMessagesResponse.FromString(answer.content).objects_to_push) == []
        (arrived,) = clinic.grid.pull_messages([clinic.key])
        assert arrived.content["report"]["seconds"] == 1.5  # type: ignore[index, call-overload]


def no_space(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("size", [10_000, 300_000], ids=["object", "body"])
def test_the_run_learns_that_the_disk_is_full_for_a_reply(
    place: Place, port: int, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An object of 40 kB is in a file; a body of 1.2 MB is in one before it is read."""
    with place.link.open_run() as run_id:
        clinic = Bundled(place, port, run_id, "train", np.zeros(size, np.float32))
        update = encode_update(Update(np.ones(size, np.float32), 3, {}), 1.0)
        reply = Message(update, reply_to=clinic.asked)
        body = pack(clinic.announcement(reply).SerializeToString(), objects_in(reply))
        assert list(clinic.grid.pull_messages([clinic.key])) == []
        with monkeypatch.context() as full:
            full.setattr(spooled_objects, "_Spooled", no_space)
            full.setattr(SpooledTemporaryFile, "rollover", no_space)
            clinic.post(REPLY, body)
        with pytest.raises(StorageError, match="No space left") as told:
            clinic.grid.pull_messages([clinic.key])
        assert told.value.remedy == "Free some disk space"
    with place.link.open_run() as run_id:  # resumed
        clinic = Bundled(place, port, run_id, "train", np.zeros(size, np.float32))
        reply = Message(update, reply_to=clinic.asked)
        body = pack(clinic.announcement(reply).SerializeToString(), objects_in(reply))
        assert clinic.post(REPLY, body).is_success
        (arrived,) = clinic.grid.pull_messages([clinic.key])
        assert decode_update(arrived.content, size)[0].weight == 3


def test_no_object_of_a_reply_has_anothers_id(place: Place, port: int) -> None:
    with place.link.open_run() as run_id:
        clinic = Bundled(place, port, run_id)
        reply = Message(encode_ready(1.5), reply_to=clinic.asked)
        objects = objects_in(reply)
        false = {**objects, next(iter(objects)): b"x"}
        answer = clinic.post(REPLY, pack(clinic.announcement(reply).SerializeToString(), false))
        assert list(PushMessagesResponse.FromString(answer.content).objects_to_push) == [next(iter(objects))]


def test_a_bundle_is_no_longer_than_a_reply_may_be(place: Place, port: int) -> None:
    """Neither with the announcement nor after it; and nobody waits for the rest."""
    for after in (False, True):
        with place.link.open_run() as run_id:
            clinic = Bundled(place, port, run_id, "train")
            content = encode_instruction(np.ones(4, np.float32), 1, {})
            content["more"] = ConfigRecord({"text": "x" * 2**20})
            reply = Message(content, reply_to=clinic.asked)
            head, objects = clinic.announcement(reply).SerializeToString(), objects_in(reply)
            answer = clinic.post(REPLY, pack(head, {} if after else objects))
            if after:
                session = PushMessagesResponse.FromString(answer.content).session_id
                rest = PushObjectRequest(node=Node(node_id=place.nodes[0]), run_id=run_id, session_id=session)
                answer = clinic.post(OBJECTS, pack(rest.SerializeToString(), objects))
            assert answer.status_code == 403
            assert "longer than" in answer.json()["detail"]
            (instead,) = clinic.grid.pull_messages([clinic.key])
            assert instead.has_error()


def test_objects_that_nobody_waits_for_are_refused(place: Place, port: int) -> None:
    name = hashlib.sha256(b"x").hexdigest()
    with place.link.open_run() as run_id:
        clinic = Bundled(place, port, run_id)
        head = PushObjectRequest(node=Node(node_id=place.nodes[0]), run_id=run_id, session_id="s")
        assert clinic.post(OBJECTS, pack(head.SerializeToString(), {name: b"x"})).status_code == 403
        nothing = clinic.post(OBJECTS, pack(head.SerializeToString(), {}))
        assert PushObjectResponse.FromString(nothing.content).stored


def test_a_bundle_in_anothers_name_is_refused(place: Place, port: int) -> None:
    with place.link.open_run() as run_id:
        clinic, other = Bundled(place, port, run_id), Node(node_id=place.nodes[1])
        reply = Message(encode_ready(1.5), reply_to=clinic.asked)
        heads = {
            RECEIVE: PullMessagesRequest(node=other).SerializeToString(),
            REPLY: pack(clinic.announcement(reply, other.node_id).SerializeToString(), objects_in(reply)),
            OBJECTS: pack(PushObjectRequest(node=other, run_id=run_id).SerializeToString(), {}),
        }
        assert {clinic.post(path, body).status_code for path, body in heads.items()} == {401}
        for path in (REPLY, OBJECTS):
            assert clinic.post(path, b"\0\0\0\x09x").status_code == 400
