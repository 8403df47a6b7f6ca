"""Restrict Flower's app to the calls of a node.

Flower has all its APIs in one app; Control, which starts runs, and Runtime, which takes tasks, have no
authentication. The calls of a node are few and known, so only these are allowed; all others return 404.
"""

from __future__ import annotations

from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from dermafed.server.flower.expected_replies import ExpectedReplies
from dermafed.server.flower.node_objects import objects_of
from dermafed.server.flower.private_names import PushMessagesRequest, PushObjectRequest

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
_RAW_CALLS = frozenset(path.encode() for path in NODE_CALLS)


def fleet_only(superlink: FastAPI) -> ASGIApp:
    """The public app: it passes the calls of nodes to Flower's app and hides all others.

    Args:
        superlink: Flower's app, with authentication of nodes; a check is added to it.
    """
    # Innermost, so that Flower has decoded the request and authenticated the node before.
    replies = getattr(superlink.state, "expected_replies", None) or ExpectedReplies()
    superlink.user_middleware.append(Middleware(_ExpectedRepliesOnly, replies=replies))

    async def public(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        refusal = _refusal(scope)
        if refusal is None:
            await superlink(_as_called(scope), receive, send)
        else:
            await Response(status_code=refusal)(scope, receive, send)

    return public


def _refusal(scope: Scope) -> int | None:
    """The HTTP status of a refusal; ``None`` for an allowed call."""
    # The path as sent: a node never escapes it.
    if scope["method"] != "POST" or scope["raw_path"] not in _RAW_CALLS or scope["query_string"]:
        return 404
    headers = dict(scope["headers"])
    length = headers.get(b"content-length", b"")
    # A body without a declared length could be endless.
    if b"transfer-encoding" in headers or not length.isdigit():
        return 411
    return 413 if int(length[:20]) > LARGEST_BODY else None


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
