"""Calls of a session: a tag is good once, for its path, now, in its node's name, while the node may call."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from flwr.proto.fleet_pb2 import PullMessagesRequest
from flwr.proto.node_pb2 import Node
from flwr.supercore.constant import FLEET_HTTP_SIGNATURE_HEADER

from dermafed.client.node.flower.polls import PollingClient
from dermafed.client.node.flower.session_calls import SessionCalls
from dermafed.shared.protocol.bundles import RECEIVE
from dermafed.shared.protocol.call_sessions import NEW, SESSION, TAG, Secret
from tests.attacks.wire import Place
from tests.server.flower.link_side import new_key, public_pem

PULL = "/v1/fleet/pull-messages"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("tags"))


@pytest.fixture
def port(place: Place) -> Iterator[int]:
    with place.public() as port:
        yield port


class Caller:
    """Clinic 0 with a session, which makes its calls by hand."""

    def __init__(self, place: Place, port: int, clinic: int = 0) -> None:
        place.link.inboxes.put([place.nodes[clinic]])  # so that no call waits
        self.place, self.caller, self.node = place, place.caller(clinic, port), place.nodes[clinic]
        signed = self.caller.call(PULL, PullMessagesRequest(node=Node(node_id=self.node)), **{SESSION: NEW})
        self.secret, self.number = Secret.parse(signed.headers[SESSION]), 0

    def headers(self, path: str = PULL, moment: datetime | None = None) -> dict[str, str]:
        self.number += 1
        call = f"{self.secret.name} {(moment or datetime.now(UTC)).isoformat()} {self.number}"
        return {
            "content-type": "application/protobuf",
            SESSION: call,
            TAG: self.secret.tag(path, call),
        }

    def status(self, headers: Mapping[str, str | bytes], path: str = PULL, node: int | None = None) -> int:
        self.place.link.inboxes.put([self.node])
        body = PullMessagesRequest(node=Node(node_id=node or self.node)).SerializeToString()
        return self.caller.http.post(path, content=body, headers=dict(headers)).status_code


def test_a_tag_is_good_once(place: Place, port: int) -> None:
    clinic = Caller(place, port)
    headers = clinic.headers()
    assert [clinic.status(headers), clinic.status(headers), clinic.status(clinic.headers())] == [
        200,
        401,
        200,
    ]


def test_a_tag_is_good_for_its_path(place: Place, port: int) -> None:
    clinic = Caller(place, port)
    assert clinic.status(clinic.headers(RECEIVE), PULL) == 401
    assert clinic.status(clinic.headers(RECEIVE), RECEIVE) == 200


@pytest.mark.parametrize("seconds", [-3600, 60])
def test_a_tag_is_good_now(place: Place, port: int, seconds: int) -> None:
    clinic = Caller(place, port)
    assert clinic.status(clinic.headers(moment=datetime.now(UTC) + timedelta(seconds=seconds))) == 401


def test_a_tag_is_of_its_node_alone(place: Place, port: int) -> None:
    clinic, other = Caller(place, port), Caller(place, port, 1)
    assert clinic.status(clinic.headers(), node=other.node) == 401
    clinic.secret = replace(clinic.secret, name=other.secret.name)
    assert clinic.status(clinic.headers()) == 401


@pytest.mark.parametrize("call", ["", "x", "x y z", "{} 2026 1", "{} now 1", "{} now x", "new"])
def test_what_is_no_call_of_a_session_is_refused(place: Place, port: int, call: str) -> None:
    clinic = Caller(place, port)
    call = call.format(clinic.secret.name)
    assert clinic.status({**clinic.headers(), SESSION: call, TAG: clinic.secret.tag(PULL, call)}) == 401
    assert clinic.status({**clinic.headers(), TAG: b"\xe9"}) == 401


def test_the_session_of_a_removed_clinic_is_over(place: Place, port: int) -> None:
    key = new_key()
    node = place.link.register("short", public_pem(key))
    place.keys.append(key)
    place.nodes.append(node)
    clinic = Caller(place, port, -1)
    assert clinic.status(clinic.headers()) == 200
    place.link.remove(node)
    assert clinic.status(clinic.headers()) == 401


def test_only_a_signature_opens_a_session(place: Place, port: int) -> None:
    clinic = Caller(place, port)
    tagged = clinic.caller.http.post(PULL, content=b"", headers={**clinic.headers(), "x": "y"})
    assert SESSION not in tagged.headers
    bare = clinic.caller.http.post(PULL, content=b"", headers={SESSION: NEW})
    assert (bare.status_code, SESSION in bare.headers) == (401, False)


def test_a_node_signs_once_and_again_after_the_server_was_started_anew(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    signed: list[bool] = []
    send = httpx.Client.send

    def noting(self: httpx.Client, request: httpx.Request, **settings: object) -> httpx.Response:
        signed.append(FLEET_HTTP_SIGNATURE_HEADER in request.headers)
        return send(self, request, **settings)  # type: ignore[arg-type]

    monkeypatch.setattr(httpx.Client, "send", noting)
    key, request = place.keys[0], PullMessagesRequest(node=Node(node_id=place.nodes[0]))
    with (
        place.public() as first,
        place.public() as second,
        PollingClient.from_server_address(
            f"127.0.0.1:{first}", False, str(place.ca), [SessionCalls(key, key.public_key())]
        ) as client,
    ):
        for base in (first, first, second, second):
            client._base_url = f"https://127.0.0.1:{base}"
            place.link.inboxes.put([place.nodes[0]])
            assert not client.PullMessages(request).messages_list
    assert signed == [True, False, False, True, False]
