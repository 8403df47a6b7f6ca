"""The public app: the calls of registered nodes, and nothing else.

Flower has all its APIs in one app; Control, which starts runs, and Runtime, which takes tasks, have no
authentication. The calls of a node are few and known, so only these are there; all others return 404. Who
calls is known before the body is read.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from contextlib import suppress
from tempfile import SpooledTemporaryFile
from typing import IO

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from dermafed.server.flower.expected_replies import ExpectedReplies
from dermafed.server.flower.fleet_calls import BUNDLED, NODE_CALLS, FleetCalls
from dermafed.server.flower.link import Link
from dermafed.server.flower.signed_calls import SignedCalls, UnknownKey
from dermafed.shared.port.guarded_server import recognise
from dermafed.shared.protocol.bundles import RECEIVE
from dermafed.shared.protocol.call_sessions import NEW, SESSION

LARGEST_BODY = 16 * 2**20
"""Bytes of the largest request; Flower cuts arrays into chunks of 5 MB."""
_BODY_SECONDS = 300.0
_IN_MEMORY = 64 * 2**10  # bytes of a body; more is in a file until all of it is there
_AT_ONCE = 4  # calls of one node that are read and answered; more wait, with 64 KiB of each read
_PULLS = (b"/v1/fleet/pull-messages", RECEIVE.encode())
_RAW_CALLS = frozenset(path.encode() for path in NODE_CALLS | BUNDLED.keys())


def fleet_only(link: Link) -> ASGIApp:
    """The public app of a link: it answers the calls of nodes; nothing else is there."""
    fleet = FleetCalls(link.state, link.replies, link.inboxes, link.contacts)
    calls, contacts = SignedCalls(link.state), link.contacts
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
        if not recognise(scope, str(node)):
            # Nothing is done whose answer gets lost: a node that is activated twice is refused.
            await Response(status_code=503)(scope, receive, send)
            return
        # One that waits for a message is as silent as one that has ended.
        listening = scope["raw_path"] in _PULLS
        with contacts.heard(node) if listening else contacts.call(node):
            async with turns[node]:
                # A node tries again after 503, unlike after 408.
                answer = Response(status_code=503)
                with SpooledTemporaryFile(_IN_MEMORY, dir=str(link.folder)) as body:
                    if await _read(receive, body, link.replies):
                        answer = await fleet.answer(Request(_as_called(scope)), node, body)
                if Headers(scope=scope).get(SESSION) == NEW:  # of a signed call; others name theirs
                    answer.headers[SESSION] = calls.session(node)
                await answer(scope, receive, send)

    return public


async def _caller(calls: SignedCalls, scope: Scope) -> int:
    """The node that calls."""
    try:
        node = await calls.node_of(Headers(scope=scope), scope["raw_path"].decode("ascii"))
    except UnknownKey:
        # As Flower answers: after 401 a node ends without a word, after 412 it says that it was refused.
        raise HTTPException(412 if scope["raw_path"] == b"/v1/fleet/activate-node" else 401) from None
    if node is None:
        raise HTTPException(401)
    return node


async def _read(receive: Receive, body: IO[bytes], replies: ExpectedReplies) -> bool:
    """Read the whole body; false if it takes too long, its sender has gone, or the disk is full."""
    with suppress(TimeoutError, OSError):
        async with asyncio.timeout(_BODY_SECONDS):
            while (message := await receive())["type"] == "http.request":
                with replies.kept():
                    body.write(message.get("body", b""))
                if not message.get("more_body", False):
                    body.seek(0)
                    return True
    return False


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
