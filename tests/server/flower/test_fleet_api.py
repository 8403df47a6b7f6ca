"""What the public port answers: a registered node's own calls, and none of those that a stock app does."""

from __future__ import annotations

import asyncio
import http.client
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any

import httpx
import numpy as np
import pytest
from fastapi.routing import APIRoute, iter_route_contexts
from flwr.app import Message, RecordDict
from flwr.common.serde import message_to_proto
from flwr.proto.control_pb2 import ListNodesRequest, ListRunsRequest
from flwr.proto.fleet_pb2 import (
    ActivateNodeRequest,
    PullMessagesRequest,
    PushMessagesRequest,
    PushMessagesResponse,
    RegisterNodeFleetRequest,
)
from flwr.proto.message_pb2 import ObjectTree, PullObjectRequest
from flwr.proto.node_pb2 import Node
from flwr.proto.runtime_pb2 import GetNodesRequest
from flwr.supercore.protobuf.translation import PROTOBUF_REQUEST_TYPES

from dermafed.server.coordinator.health import ServerState, health_app
from dermafed.server.coordinator.listener import Certificate, listening
from dermafed.server.flower import fleet_api
from dermafed.server.flower.fleet_api import LARGEST_BODY, fleet_only
from dermafed.server.flower.fleet_calls import NODE_CALLS
from dermafed.server.flower.link import Link
from dermafed.shared.errors import SettingsError
from dermafed.shared.protocol.messages import encode_instruction
from tests.server.flower.link_side import Caller, make_certificates, new_key, public_pem, received, stock_app


class Place:
    """A server's public port, a stock app's beside it, and two registered clinics."""

    def __init__(self, folder: Path, link: Link, ca: Path, filtered: int, stock: int) -> None:
        self.folder, self.link, self.ca, self.filtered, self.stock = folder, link, ca, filtered, stock
        self.keys = [new_key(), new_key()]
        self.nodes = [link.register(f"clinic {i}", public_pem(key)) for i, key in enumerate(self.keys)]

    def caller(self, port: int, clinic: int = 0) -> Caller:
        return Caller(port, self.ca, self.keys[clinic])


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("fleet")
    ca, certificate = make_certificates(folder)
    link = Link(folder / "objects")
    stock = stock_app(link)
    with (
        listening(fleet_only(link), "127.0.0.1", 0, certificate) as filtered,
        listening(stock, "127.0.0.1", 0, certificate) as unfiltered,
    ):
        yield Place(folder, link, ca, filtered, unfiltered)


def routes(place: Place) -> list[tuple[str, str]]:
    """Every method and path of the stock app, websockets and the like included."""
    listed = []
    for context in iter_route_contexts(stock_app(place.link).routes):
        route = context.route
        path = str(getattr(context, "path", None) or getattr(route, "path", ""))
        methods = getattr(route, "methods", None) or {"GET"}
        listed += [(method, path) for method in sorted(methods)]
        assert isinstance(route, APIRoute) or path.startswith(("/docs", "/openapi", "/redoc")), path
    return listed


def check_exposure(place: Place, port: int) -> list[str]:
    """Calls that are not for nodes but answered, made with a valid key and a decodable body."""
    caller, exposed = place.caller(port), []
    for method, path in sorted({*routes(place), *PROTOBUF_REQUEST_TYPES}):
        if path not in NODE_CALLS:
            body = PROTOBUF_REQUEST_TYPES.get((method, path), GetNodesRequest)().SerializeToString()
            with caller.http.stream(method, path, content=body, headers=caller.headers()) as answer:
                # An existing route may answer 404 too, with a text of its own.
                if answer.status_code != 404 or answer.headers["content-length"] != "0":
                    exposed.append(path)
    return exposed


def test_no_call_of_control_or_runtime_is_there(place: Place) -> None:
    paths = {path for _, path in routes(place)}
    assert len([path for path in paths if path.startswith("/v1/control/")]) >= 40
    assert len([path for path in paths if path.startswith("/v1/runtime/")]) >= 15
    assert paths >= NODE_CALLS
    assert check_exposure(place, place.filtered) == []


def test_the_same_check_finds_them_all_at_a_stock_superlink(place: Place) -> None:
    exposed = set(check_exposure(place, place.stock))
    assert exposed >= {path for _, path in PROTOBUF_REQUEST_TYPES} - NODE_CALLS
    # Anyone there may read runs, list clinics and register some.
    caller = place.caller(place.stock)
    for call, request in (("list-runs", ListRunsRequest()), ("list-nodes", ListNodesRequest())):
        assert caller.call(f"/v1/control/{call}", request).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/v1/fleet",
        "/v1/fleet/",
        "/v1/fleet/../control/list-runs",
        "/v1/fleet/..%2fcontrol/list-runs",
        "/v1/fleet/%2e%2e/control/list-runs",
        "//v1/control/list-runs",
        "/v1//fleet/pull-messages",
        "/v1/fleet//pull-messages",
        "/v1/fleet/pull-messages/",
        "/v1/fleet/pull-messages?x=1",
        "/v1/fleet/pull%2dmessages",
        "/v1/fleet/pull-messages%3f",
        "/v1/fleet/pull-messages;x",
        "/V1/FLEET/pull-messages",
        "http://other/v1/control/list-runs",
        "/v1/fleet/register-node",
        "/v1/fleet/unregister-node",
        "/docs",
        "/openapi.json",
        "/health",
    ],
)
@pytest.mark.parametrize("method", ["POST", "GET"])
def test_paths_that_are_not_for_nodes_do_not_exist(place: Place, method: str, path: str) -> None:
    assert raw(place, method, path) == 404


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PATCH"])
def test_nodes_only_post(place: Place, method: str) -> None:
    assert raw(place, method, "/v1/fleet/pull-messages") == 404


def raw(place: Place, method: str, path: str, body: bytes = b"", **headers: str) -> int:
    """Status of a request whose path no client library has made tidy."""
    context = ssl.create_default_context(cafile=str(place.ca))
    connection = http.client.HTTPSConnection("127.0.0.1", place.filtered, context=context, timeout=20)
    signed = place.caller(place.filtered).headers()
    connection.putrequest(method, path, skip_host="Host" in headers)
    for name, value in {**signed, "Content-Length": str(len(body)), **headers}.items():
        connection.putheader(name, value)
    connection.endheaders(body)
    status = connection.getresponse().status
    connection.close()
    return status


def test_a_websocket_gets_nowhere(place: Place) -> None:
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
    key = {"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}
    assert raw(place, "GET", "/v1/fleet/pull-messages", **upgrade, **key) == 404


def test_a_body_has_a_length_and_is_limited(place: Place) -> None:
    path = "/v1/fleet/push-object"
    assert raw(place, "POST", path, **{"Content-Length": str(LARGEST_BODY + 1)}) == 413
    assert raw(place, "POST", path, **{"Content-Length": "9" * 40}) in {400, 413}
    assert raw(place, "POST", path, b"0\r\n\r\n", **{"Transfer-Encoding": "chunked"}) in {400, 411}


def test_a_host_cannot_move_a_call_past_the_check_of_its_key(place: Place) -> None:
    body = PullObjectRequest(node=Node(node_id=place.nodes[1]), object_id="0" * 64).SerializeToString()
    for host in ("x/v1/runtime/pull-object?", "x/v1/runtime/pull-object#", "127.0.0.1"):
        assert raw(place, "POST", "/v1/fleet/pull-object", body, Host=host) == 401


def test_a_registered_node_is_answered(place: Place) -> None:
    caller = place.caller(place.filtered)
    request = ActivateNodeRequest(public_key=public_pem(caller.key), heartbeat_interval=30)
    assert caller.call("/v1/fleet/activate-node", request).status_code == 200
    pull = PullMessagesRequest(node=Node(node_id=place.nodes[0]))
    assert caller.call("/v1/fleet/pull-messages", pull).status_code == 200


@pytest.mark.parametrize("is_open", [True, False])
def test_a_call_whose_connection_was_closed_meanwhile_does_nothing(place: Place, is_open: bool) -> None:
    """Its node gets no answer and calls again: activated twice, it would be refused, and end."""
    key, sent = new_key(), list[Any]()
    node = place.link.register(f"closed {is_open}", public_pem(key))
    request = ActivateNodeRequest(public_key=public_pem(key), heartbeat_interval=30).SerializeToString()
    headers = Caller(place.filtered, place.ca, key).headers() | {"content-length": str(len(request))}
    path = "/v1/fleet/activate-node"
    scope = {
        "type": "http",
        "method": "POST",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "server": ("127.0.0.1", 443),
        "scheme": "https",
        "state": {"dermafed.recognise": lambda name: is_open},
    }

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": request}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(fleet_only(place.link)(scope, receive, send))  # type: ignore[arg-type]
    assert sent[0]["status"] == (200 if is_open else 503)
    assert {one.id: one.online for one in place.link.nodes()}[node] == is_open


def test_an_unknown_key_or_none_is_refused(place: Place) -> None:
    stranger = Caller(place.filtered, place.ca, new_key())
    pull = PullMessagesRequest(node=Node(node_id=place.nodes[0]))
    assert stranger.call("/v1/fleet/pull-messages", pull).status_code == 401
    request = ActivateNodeRequest(public_key=public_pem(stranger.key), heartbeat_interval=30)
    assert stranger.call("/v1/fleet/activate-node", request).status_code >= 400
    content = {"content-type": "application/protobuf"}
    bare = stranger.http.post("/v1/fleet/pull-messages", content=pull.SerializeToString(), headers=content)
    assert bare.status_code == 401
    own = RegisterNodeFleetRequest(public_key=public_pem(stranger.key))
    assert stranger.call("/v1/fleet/register-node", own).status_code == 404


def test_an_old_signature_is_refused(place: Place) -> None:
    caller = place.caller(place.filtered)
    headers = caller.headers() | {"flwr-timestamp": "2025-01-01T00:00:00+00:00"}
    pull = PullMessagesRequest(node=Node(node_id=place.nodes[0])).SerializeToString()
    assert caller.http.post("/v1/fleet/pull-messages", content=pull, headers=headers).status_code == 401


def test_a_body_that_does_not_end_ends_the_call(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleet_api, "_BODY_SECONDS", 0.5)
    path, pull = "/v1/fleet/pull-messages", PullMessagesRequest(node=Node(node_id=place.nodes[0]))
    assert raw(place, "POST", path, b"x", **{"Content-Length": "9"}) == 503
    assert place.caller(place.filtered).call(path, pull).status_code == 200


def test_a_removed_clinic_is_refused_at_its_next_call(place: Place) -> None:
    key = new_key()
    node = place.link.register("short", public_pem(key))
    caller, pull = Caller(place.filtered, place.ca, key), PullMessagesRequest(node=Node(node_id=node))
    assert caller.call("/v1/fleet/pull-messages", pull).status_code == 200
    place.link.remove(node)
    assert caller.call("/v1/fleet/pull-messages", pull).status_code == 401


def test_no_clinic_takes_anothers_messages(place: Place) -> None:
    pull = PullMessagesRequest(node=Node(node_id=place.nodes[1]))
    assert place.caller(place.filtered, 0).call("/v1/fleet/pull-messages", pull).status_code == 401
    assert place.caller(place.filtered, 1).call("/v1/fleet/pull-messages", pull).status_code == 200


def test_a_reply_that_names_another_run_is_not_taken(place: Place) -> None:
    """A run that is over, and one that never was; the same call in the open run is taken."""
    link, node = place.link, place.nodes[0]
    link.state.activate_node(node, 30.0)
    with link.open_run() as over:
        pass
    with link.open_run() as run_id:
        message = Message(encode_instruction(np.ones(2, np.float32), 1, {}), node, "train")
        (key,) = link.grid(run_id, {node: "clinic 0"}, Event()).push_messages([message])
        asked = received(link, key)
        for run in (over, run_id + 1, run_id):
            reply = Message(RecordDict(), reply_to=asked)
            reply.metadata.__dict__["_run_id"] = run
            assert pushed(place, node, reply).is_success == (run == run_id)
            assert bool(link.state.get_message_res({key}, run_id)) == (run == run_id)


def pushed(place: Place, node: int, reply: Message) -> httpx.Response:
    """Clinic 0 sends a reply."""
    reply.metadata.__dict__["_message_id"] = reply.object_id
    request = PushMessagesRequest(
        node=Node(node_id=node),
        messages_list=[message_to_proto(reply)],
        message_object_trees=[ObjectTree(object_id=reply.object_id)],
    )
    return place.caller(place.filtered, 0).call("/v1/fleet/push-messages", request)


def forged(place: Place, port: int) -> httpx.Response:
    """Clinic 0 replies to the message of clinic 1, whose id it somehow knows."""
    link, node = place.link, place.nodes[1]
    link.state.activate_node(node, 30.0)
    with link.open_run() as run_id:
        message = Message(encode_instruction(np.ones(2, np.float32), 1, {}), node, "train")
        (key,) = link.grid(run_id, {node: "clinic 1"}, Event()).push_messages([message])
        reply = Message(RecordDict(), reply_to=received(link, key))
        reply.metadata.__dict__["_message_id"] = reply.object_id
        request = PushMessagesRequest(
            node=Node(node_id=place.nodes[0]),
            messages_list=[message_to_proto(reply)],
            message_object_trees=[ObjectTree(object_id=reply.object_id)],
        )
        return place.caller(port, 0).call("/v1/fleet/push-messages", request)


def test_no_clinic_replies_for_another(place: Place) -> None:
    assert forged(place, place.filtered).status_code == 403
    taken = forged(place, place.stock)
    assert taken.status_code == 200
    assert PushMessagesResponse.FromString(taken.content).objects_to_push


def test_tls_is_1_2_or_later_and_certified(place: Place) -> None:
    old = ssl.create_default_context(cafile=str(place.ca))
    old.minimum_version = ssl.TLSVersion.TLSv1
    old.maximum_version = ssl.TLSVersion.TLSv1_1
    old.set_ciphers("ALL:@SECLEVEL=0")
    for context, expected in ((old, ssl.SSLError), (ssl.create_default_context(), ssl.SSLError)):
        connection = http.client.HTTPSConnection("127.0.0.1", place.filtered, context=context, timeout=20)
        with pytest.raises(expected):
            connection.request("GET", "/")
    plain = http.client.HTTPConnection("127.0.0.1", place.filtered, timeout=20)
    plain.request("GET", "/")
    with pytest.raises((http.client.HTTPException, OSError)):
        plain.getresponse()


def test_a_port_in_use_and_an_invalid_certificate_are_named(place: Place, tmp_path: Path) -> None:
    app = health_app(lambda: ServerState(0, 0))
    with (
        pytest.raises(SettingsError, match="cannot be opened"),
        listening(app, "127.0.0.1", place.stock),
    ):
        pass
    (tmp_path / "a.pem").write_text("no certificate")
    broken = Certificate(tmp_path / "a.pem", tmp_path / "a.pem")
    with pytest.raises(SettingsError, match="cannot be used"), listening(app, "127.0.0.1", 0, broken):
        pass


def test_the_health_port_reports_the_states() -> None:
    states = [ServerState(enrolled=3, online=0)]
    with listening(health_app(lambda: states[-1]), "127.0.0.1", 0) as port:
        base = f"http://127.0.0.1:{port}"
        idle = httpx.get(f"{base}/health", trust_env=False).json()
        assert (idle["status"], idle["state"], idle["enrolled"], idle["balanced_accuracy"]) == (
            "ok",
            "idle",
            3,
            None,
        )
        assert "balanced_accuracy" not in httpx.get(f"{base}/metrics", trust_env=False).text
        states.append(ServerState(3, 2, 'a "run"', "running", 4, 12.5, 0.75))
        lines = httpx.get(f"{base}/metrics", trust_env=False).text.splitlines()
    assert {
        "dermafed_enrolled 3.0",
        "dermafed_online 2.0",
        "dermafed_round 4.0",
        "dermafed_round_seconds 12.5",
        "dermafed_balanced_accuracy 0.75",
        'dermafed_run{name="a \\"run\\"",state="running"} 1.0',
    } <= set(lines)
    end = time.monotonic() + 30
    while time.monotonic() < end:
        try:
            httpx.get(f"{base}/health", trust_env=False, timeout=1)
        except httpx.TransportError:
            return
    pytest.fail("the port still answers")


def test_the_server_notes_when_a_node_was_heard(place: Place) -> None:
    key = new_key()
    node = place.link.register("heard", public_pem(key))

    def silence() -> float:
        return next(one.silence for one in place.link.nodes() if one.clinic == "heard")

    assert silence() == 0.0
    pulled = Caller(place.filtered, place.ca, key).call(
        "/v1/fleet/pull-messages", PullMessagesRequest(node=Node(node_id=node))
    )
    assert pulled.status_code != 404
    end = time.monotonic() + 30
    while silence() == 0.0 and time.monotonic() < end:  # the answer is here before the call has ended there
        time.sleep(0.01)
    assert 0.0 < silence() < 60.0
