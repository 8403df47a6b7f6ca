"""Answer the calls of nodes by Flower's own handlers, without its web app.

The app has each request pass nine layers, one of which asks once more who calls. Here a call has been
authenticated by its headers (:mod:`dermafed.server.flower.signed_calls`), and its body may name that node
only. So Flower's Control and Runtime APIs, which have no authentication, are not there at all.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import IO

from fastapi import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from dermafed.server.flower.bundled_calls import BundledCalls
from dermafed.server.flower.contacts import Contacts
from dermafed.server.flower.expected_replies import ExpectedReplies
from dermafed.server.flower.inboxes import Inboxes
from dermafed.server.flower.large_answers import LargeAnswers
from dermafed.server.flower.node_objects import objects_of
from dermafed.server.flower.private_names import (
    HEARTBEAT_DEFAULT_INTERVAL,
    PROTOBUF_MEDIA_TYPE,
    PROTOBUF_REQUEST_TYPES,
    ActivateNodeRequest,
    Proto,
    ProtobufTranslationMiddleware,
    PullMessagesRequest,
    PullMessagesResponse,
    PullObjectRequest,
    PushMessagesRequest,
    PushObjectRequest,
    Reconnect,
    SendNodeHeartbeatRequest,
    SendNodeHeartbeatResponse,
    Status,
    fleet_handlers,
    http_error_translator,
)
from dermafed.server.flower.served_state import ServedState
from dermafed.shared.protocol.bundles import OBJECTS, RECEIVE, REPLY, unpack

CALLS = (
    "activate-node",
    "deactivate-node",
    "send-node-heartbeat",
    "pull-messages",
    "push-messages",
    "pull-object",
    "push-object",
    "confirm-message-received",
    "get-run",
    "get-fab",
)
"""All calls of Flower's that a registered node makes."""

NODE_CALLS = frozenset(f"/v1/fleet/{call}" for call in CALLS)
"""Their paths."""

BUNDLED = {RECEIVE: PullMessagesRequest, REPLY: PushMessagesRequest, OBJECTS: PushObjectRequest}
"""Paths of the calls with several objects, and Flower's request in each."""

_AT_ONCE = 4  # calls whose bodies are in memory, of which the largest have 5 MB; one lock lets objects pass

_TOLD_SECONDS = 10.0
"""Between two of a node's calls of which Flower is told that the node is there; its patience is a minute."""

WITH_OBJECTS = {"pull-messages", "confirm-message-received"}  # handlers that get the store too


@dataclass(frozen=True)
class FleetCalls:
    """Flower's handlers over one state.

    Attributes:
        state: Flower's nodes, runs and messages.
        replies: what is expected from each node; all else is refused.
        inboxes: for which nodes a message waits.
        contacts: how long a node's call for messages is kept waiting.
    """

    state: ServedState
    replies: ExpectedReplies
    inboxes: Inboxes
    contacts: Contacts
    _told: dict[int, float] = field(default_factory=dict)
    _large: LargeAnswers = field(default_factory=LargeAnswers)
    _bundles: BundledCalls = field(init=False)
    _turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_AT_ONCE))

    def __post_init__(self) -> None:
        object.__setattr__(self, "_bundles", BundledCalls(self.state, self.replies))

    async def answer(self, request: Request, node: int, body: IO[bytes]) -> Response:
        """Answer a call.

        Args:
            request: its path and headers; the path is one of :data:`NODE_CALLS` or :data:`BUNDLED`.
            node: who makes it.
            body: all of it, from its start; read once it is this call's turn.
        """

        async def handle(request: Request) -> Response:
            async with self._turns:
                message, objects = _message(request, body.read())
                self._check_caller(message, node)
                self._note(path := request.url.path, node)
                if refusal := self._refusal(path, message):
                    return JSONResponse({"detail": refusal}, status_code=403)
                if not isinstance(message, PullMessagesRequest):
                    return await asyncio.to_thread(self._response, path, message, objects, node)
                if self.inboxes.take(node):  # no file is read: a thread would cost more
                    return self._response(path, message, objects, node)
            await self.inboxes.wait(node, self.contacts.hold_seconds)
            return self._pulled(path, PullMessagesResponse())

        return await http_error_translator(request, handle)

    def _response(self, path: str, message: Proto, objects: dict[str, bytes], node: int) -> Response:
        if isinstance(message, SendNodeHeartbeatRequest):
            return _encoded(SendNodeHeartbeatResponse(success=True))
        if path == REPLY:
            return _encoded(self._bundles.reply(message, objects))
        if path == OBJECTS:
            return _encoded(self._bundles.objects(message, objects))
        if isinstance(message, PullObjectRequest) and (again := self._sent_again(message)):
            return again
        call = "pull-messages" if path == RECEIVE else path.rpartition("/")[2]
        handler: Callable[..., Proto] = getattr(fleet_handlers, call.replace("-", "_"))
        extra = {"store": self.state.object_store} if call in WITH_OBJECTS else {}
        sends = isinstance(message, PushMessagesRequest | PushObjectRequest)
        with objects_of(node) if sends else nullcontext():
            found = handler(message, self.state, **extra)
        if isinstance(message, PullObjectRequest):
            return self._large.response(message.object_id, found)
        return self._pulled(path, found) if isinstance(found, PullMessagesResponse) else _encoded(found)

    def _pulled(self, path: str, found: PullMessagesResponse) -> Response:
        """The answer to a call for messages, which also says how often a node need call."""
        found.reconnect.CopyFrom(Reconnect(reconnect=self.contacts.beat_seconds))
        return _response_of(self._bundles.received(found)) if path == RECEIVE else _encoded(found)

    def _sent_again(self, message: PullObjectRequest) -> Response | None:
        """The answer that another node is being sent, if the run is open."""
        status = self.state.get_run_status({message.run_id})[message.run_id].status
        return self._large.again(message.object_id) if status == Status.RUNNING else None

    def _note(self, path: str, node: int) -> None:
        """Let Flower know that a node is there, whatever it calls for; not by every call."""
        now = time.monotonic()
        if path.endswith("activate-node"):  # or deactivate-node
            self._told.pop(node, None)
        elif now - self._told.get(node, -_TOLD_SECONDS) >= _TOLD_SECONDS:
            if not self.state.acknowledge_node_heartbeat(node, HEARTBEAT_DEFAULT_INTERVAL):
                raise HTTPException(401)  # it was removed just now
            self._told[node] = now

    def _check_caller(self, message: Proto, node: int) -> None:
        """Refuse a call in the name of another node."""
        if isinstance(message, ActivateNodeRequest):
            named = self.state.get_node_id_by_public_key(message.public_key)
        else:
            named = message.node.node_id if hasattr(message, "node") else message.node_id
        if named != node:
            raise HTTPException(401, "Invalid SuperNode authentication")

    def _refusal(self, path: str, message: Proto) -> str:
        """Why something is refused that no message asked for: Flower does not check whose reply it is."""
        if isinstance(message, PushMessagesRequest):
            return self.replies.refuse_message(message)
        if isinstance(message, PushObjectRequest) and path != OBJECTS:  # each of these is looked at
            return self.replies.refuse_object(message)
        return ""


def _encoded(answer: Proto) -> Response:
    return _response_of(answer.SerializeToString())


def _response_of(content: bytes) -> Response:
    return Response(content, media_type=PROTOBUF_MEDIA_TYPE)


def _message(request: Request, body: bytes) -> tuple[Proto, dict[str, bytes]]:
    """The decoded body, and the objects that came with it.

    Raises:
        FlowerError: it is not what its path asks for.
        HTTPException: nor are its parts.
    """
    ProtobufTranslationMiddleware._check_request_media_type(request)
    objects: dict[str, bytes] = {}
    if (path := request.url.path) in (REPLY, OBJECTS):
        try:
            body, objects = unpack(body)
        except ValueError as error:
            raise HTTPException(400, "Invalid parts") from error
    kind = BUNDLED.get(path) or PROTOBUF_REQUEST_TYPES["POST", path]
    return ProtobufTranslationMiddleware._parse_request(body, kind), objects
