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

from dermafed.server.flower.private_names import PushMessagesRequest

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
    superlink.user_middleware.append(Middleware(_OwnMessagesOnly))

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


class _OwnMessagesOnly(BaseHTTPMiddleware):
    """Refuse replies in another node's name: Flower checks who calls, but not whose reply it is."""

    async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        pushed = getattr(request.state, "protobuf_request", None)
        if isinstance(pushed, PushMessagesRequest) and not _is_own(pushed):
            return JSONResponse({"detail": "A node replies once, in its own name"}, status_code=403)
        return await call_next(request)


def _is_own(pushed: PushMessagesRequest) -> bool:
    messages, trees = pushed.messages_list, pushed.message_object_trees
    if len(messages) != 1 or len(trees) != 1:
        return False
    metadata = messages[0].metadata
    return bool(metadata.src_node_id == pushed.node.node_id and metadata.reply_to_message_id)
