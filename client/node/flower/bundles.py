"""Flower's client with fewer calls: what is small of a message comes with it, and a reply goes as a whole.

Flower asks for each object of a message, confirms it, announces its reply, and sends each object of that.
Here the same functions do it in one call for a message and one for a reply, and one more for each 5 MB.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Lock
from typing import Any

import httpx
from flwr.proto.fleet_pb2 import (
    PullMessagesRequest,
    PullMessagesResponse,
    PushMessagesRequest,
    PushMessagesResponse,
)
from flwr.proto.message_pb2 import (
    ConfirmMessageReceivedRequest,
    ConfirmMessageReceivedResponse,
    PullObjectRequest,
    PullObjectResponse,
    PushObjectRequest,
    PushObjectResponse,
)
from flwr.supercore.inflatable.inflatable_object import iterate_object_tree
from flwr.supernode.fleet_http_client import FleetHttpClient

from dermafed.shared.protocol.bundles import LARGEST_BUNDLE, OBJECTS, RECEIVE, REPLY, pack, unpack


class BundlingClient(FleetHttpClient):
    """Flower's client of one node, which works on one message at a time.

    Where the server has no such calls, it makes Flower's own.
    """

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self._bundles = True
        self._received: dict[str, bytes] = {}
        self._lock = Lock()  # Flower pushes objects from several threads
        self._reply = _Reply()

    def PullMessages(self, request: PullMessagesRequest) -> PullMessagesResponse:
        """Ask for a message; its small objects are kept until it is confirmed."""
        if not self._bundles:
            return super().PullMessages(request)
        try:
            answer: _Received = self._call(RECEIVE, request, _Received)
        except httpx.HTTPStatusError as error:
            if error.response.status_code != httpx.codes.NOT_FOUND:
                raise
            self._bundles = False
            return super().PullMessages(request)
        self._received = answer.objects
        return answer.messages

    def PullObject(self, request: PullObjectRequest) -> PullObjectResponse:
        """An object of the message; a large one is asked for."""
        content = self._received.get(request.object_id)
        if content is None:
            return super().PullObject(request)
        return PullObjectResponse(object_found=True, object_available=True, object_content=content)

    def ConfirmMessageReceived(
        self, request: ConfirmMessageReceivedRequest
    ) -> ConfirmMessageReceivedResponse:
        """Nothing that the server needs: it deletes a message once it is replied to."""
        if not self._bundles:
            return super().ConfirmMessageReceived(request)
        self._received = {}
        return ConfirmMessageReceivedResponse()

    def PushMessages(self, request: PushMessagesRequest) -> PushMessagesResponse:
        """Begin a reply; the server gets it with its first objects, and all of them are asked for."""
        if not self._bundles:
            return super().PushMessages(request)
        (tree,) = request.message_object_trees
        names = {part.object_id for part in iterate_object_tree(tree)}
        self._reply = _Reply(request, names)
        return PushMessagesResponse(objects_to_push=names)

    def PushObject(self, request: PushObjectRequest) -> PushObjectResponse:
        """Send an object with those that wait, if it is the last of the reply or they are enough."""
        if not self._bundles:
            return super().PushObject(request)
        with self._lock:
            reply, content = self._reply, request.object_content
            stored = True
            if reply.waiting and reply.bytes + len(content) > LARGEST_BUNDLE:
                stored = self._send_waiting(reply, request)
            reply.waiting[request.object_id] = content
            if reply.missing <= reply.waiting.keys():
                stored = self._send_waiting(reply, request) and stored
            return PushObjectResponse(stored=stored)

    def _send_waiting(self, reply: _Reply, request: PushObjectRequest) -> bool:
        """Send what waits; whether the server has stored it."""
        if reply.session is None:
            answer = self._call(REPLY, _Bundle(reply.announced, reply.waiting), PushMessagesResponse)
            reply.session, left = answer.session_id, set(answer.objects_to_push)
            stored = not left & reply.waiting.keys()
        else:
            head = PushObjectRequest(node=request.node, run_id=request.run_id, session_id=reply.session)
            stored = self._call(OBJECTS, _Bundle(head, reply.waiting), PushObjectResponse).stored
        reply.missing -= reply.waiting.keys()
        reply.waiting.clear()
        return stored

    def _call(self, path: str, request: Any, answer: type[Any]) -> Any:
        return self._unary_unary(path=path, rpc_method=path, request=request, response_type=answer)


@dataclass
class _Reply:
    """A reply that is being sent.

    Attributes:
        announced: Flower's announcement of it.
        missing: ids of its objects that were not sent.
        waiting: those of them that wait to be sent, by id.
        session: the server's name for the sending, once it knows the announcement.
    """

    announced: PushMessagesRequest = field(default_factory=PushMessagesRequest)
    missing: set[str] = field(default_factory=set)
    waiting: dict[str, bytes] = field(default_factory=dict)
    session: str | None = None

    @property
    def bytes(self) -> int:
        """Of what waits."""
        return sum(map(len, self.waiting.values()))


class _Bundle:
    """A request in the place of one of protobuf."""

    def __init__(self, head: Any, objects: dict[str, bytes]) -> None:
        self._head, self._objects = head, objects

    def SerializeToString(self, deterministic: bool = False) -> bytes:
        return pack(self._head.SerializeToString(deterministic=deterministic), self._objects)


class _Received:
    """An answer in the place of one of protobuf."""

    def __init__(self) -> None:
        self.messages, self.objects = PullMessagesResponse(), dict[str, bytes]()

    def ParseFromString(self, body: bytes) -> None:
        head, self.objects = unpack(body)
        self.messages.ParseFromString(head)
