"""Restrict Flower's app to the calls of a registered node.

Flower has all its APIs in one app; Control, which starts runs, and Runtime, which takes tasks, have no
authentication. The calls of a node are few and known, so only these are allowed; all others return 404. Who
calls is known before the body is read.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict

from fastapi import FastAPI
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dermafed.server.flower.contacts import Contacts
from dermafed.server.flower.expected_replies import ExpectedReplies
from dermafed.server.flower.node_objects import objects_of
from dermafed.server.flower.private_names import PushMessagesRequest, PushObjectRequest, linkstate_of
from dermafed.server.flower.signed_calls import SignedCalls, UnknownKey
from dermafed.shared.errors import StorageError
from dermafed.shared.port.guarded_server import recognise

log = logging.getLogger("dermafed.server")

NODE_CALLS = frozenset(
    f"/v1/fleet/{call}"
    for call in (
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
)
"""The paths of all calls that a registered node makes."""

LARGEST_BODY = 16 * 2**20
"""Bytes of the largest request; Flower cuts arrays into chunks of 5 MB."""
_BODY_SECONDS = 300.0
_AT_ONCE = 4  # calls of one node that are read and answered; more wait, with 64 KiB of each read
_RAW_CALLS = frozenset(path.encode() for path in NODE_CALLS)


def fleet_only(superlink: FastAPI) -> ASGIApp:
    """The public app: it passes the calls of nodes to Flower's app and hides all others.

    Args:
        superlink: Flower's app, with authentication of nodes; a check is added to it.
    """
    # Innermost, so that Flower has decoded the request and authenticated the node before.
    replies = getattr(superlink.state, "expected_replies", None) or ExpectedReplies()
    superlink.user_middleware.append(Middleware(_ExpectedRepliesOnly, replies=replies))
    contacts = getattr(superlink.state, "contacts", None) or Contacts()
    calls = SignedCalls(linkstate_of(superlink))
    turns: defaultdict[int, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(_AT_ONCE))

    async def public(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        try:
            _check_head(scope)
            node = await _caller(calls, scope)
        except HTTPException as refusal:
            await Response(status_code=refusal.status_code)(scope, receive, send)
            return
        recognise(scope, str(node))
        with contacts.call(node):
            async with turns[node]:
                body = await _read(receive)
                # A node tries again after 503, unlike after 408.
                answer = Response(status_code=503) if body is None else superlink
                await answer(_as_called(scope), _after(body or b"", receive), send)

    return public


async def _caller(calls: SignedCalls, scope: Scope) -> int:
    """The node that calls."""
    try:
        node = await calls.node_of(Headers(scope=scope))
    except UnknownKey:
        # As Flower answers: after 401 a node ends without a word, after 412 it says that it was refused.
        raise HTTPException(412 if scope["raw_path"] == b"/v1/fleet/activate-node" else 401) from None
    except StorageError as error:
        log.error("%s", error)
        raise HTTPException(503) from None
    if node is None:
        raise HTTPException(401)
    return node


async def _read(receive: Receive) -> bytes | None:
    """The whole body; ``None`` if it takes too long, or its sender has gone."""
    body = bytearray()
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            while (message := await receive())["type"] == "http.request":
                body += message.get("body", b"")
                if not message.get("more_body", False):
                    return bytes(body)
    except TimeoutError:
        pass
    return None


def _after(body: bytes, receive: Receive) -> Receive:
    """A request's messages once its body has been read."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def next_message() -> Message:
        return messages.pop() if messages else await receive()

    return next_message


def _check_head(scope: Scope) -> None:
    """Refuse what is no call of a node."""
    # The path as sent: a node never escapes it.
    if scope["method"] != "POST" or scope["raw_path"] not in _RAW_CALLS or scope["query_string"]:
        raise HTTPException(404)
    headers = dict(scope["headers"])
    length = headers.get(b"content-length", b"")
    # A body without a declared length could be endless.
    if b"transfer-encoding" in headers or not length.isdigit():
        raise HTTPException(411)
    if int(length[:20]) > LARGEST_BODY:
        raise HTTPException(413)


def _as_called(scope: Scope) -> Scope:
    """The request without the parts by which a caller could change how Flower reads its address."""
    headers = [(name, value) for name, value in scope["headers"] if name != b"host"]
    return {**scope, "path": scope["raw_path"].decode("ascii"), "root_path": "", "headers": headers}


class _ExpectedRepliesOnly(BaseHTTPMiddleware):
    """Refuse what no message asked for: Flower checks who calls, but not whose reply it is, or how long."""

    def __init__(self, app: ASGIApp, replies: ExpectedReplies) -> None:
        super().__init__(app)
        self._replies = replies

    async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        pushed = getattr(request.state, "protobuf_request", None)
        if isinstance(pushed, PushMessagesRequest):
            refusal = self._replies.refuse_message(pushed)
        elif isinstance(pushed, PushObjectRequest):
            refusal = self._replies.refuse_object(pushed)
        else:
            return await call_next(request)
        if refusal:
            return JSONResponse({"detail": refusal}, status_code=403)
        with objects_of(pushed.node.node_id):
            return await call_next(request)
