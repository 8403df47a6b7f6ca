"""Find out by the headers of a call which node makes it, before its body is read.

Flower reads the body first. It signs the time alone, so that one signature would be good for many bodies.
A node signs its first call, and tags the others with the secret of a session.
"""

from __future__ import annotations

import asyncio
import binascii
from base64 import b64decode
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from heapq import heappop, heappush

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from starlette.datastructures import Headers

from dermafed.server.flower.call_sessions import CallSessions
from dermafed.server.flower.private_names import (
    PUBLIC_KEY_HEADER,
    SIGNATURE_HEADER,
    SYSTEM_TIME_TOLERANCE,
    TIMESTAMP_HEADER,
    TIMESTAMP_TOLERANCE,
    bytes_to_public_key,
    verify_signature,
)
from dermafed.server.flower.served_state import ServedState
from dermafed.shared.protocol.call_sessions import SESSION, TAG

_AHEAD = timedelta(seconds=SYSTEM_TIME_TOLERANCE)
_BEHIND = timedelta(seconds=TIMESTAMP_TOLERANCE + SYSTEM_TIME_TOLERANCE)
_REMEMBERED = 4096  # signatures of each node, which has a few calls under way

_Signature = tuple[datetime, int]


class UnknownKey(Exception):
    """No registered node has this key."""


class SignedCalls:
    """Takes each signature of a registered node once, as Flower would take it, and each tag."""

    def __init__(self, state: ServedState) -> None:
        self._state = state
        self._used: dict[int, _Used] = {}
        self._sessions = CallSessions()

    async def node_of(self, headers: Headers, path: str) -> int | None:
        """The node that signed or tagged a call; ``None`` if none did, or that was used before.

        Args:
            headers: of the call.
            path: of the call.

        Raises:
            UnknownKey: the key is of no registered node.
        """
        if TAG in headers:
            return self._tagger(headers, path)
        try:
            key = b64decode(headers[PUBLIC_KEY_HEADER], validate=True)
            signature = b64decode(headers[SIGNATURE_HEADER], validate=True)
            # Anyone can make a second signature (r, -s) of (r, s); a second one of the node has another r.
            number, _ = decode_dss_signature(signature)
            text = headers[TIMESTAMP_HEADER]
            signed = _time(text)
            node = await asyncio.to_thread(self._signer, key, text.encode("ascii"), signature)
        except (KeyError, ValueError, TypeError, OverflowError, binascii.Error):
            return None
        fresh = node is not None and self._used.setdefault(node, _Used()).take((signed, number))
        return node if fresh else None

    def session(self, node: int) -> str:
        """The header that opens a session for the node that has signed a call."""
        return self._sessions.new(node).text()

    def _tagger(self, headers: Headers, path: str) -> int | None:
        try:
            call = headers[SESSION]
            _, text, number = call.split(" ")
            used = _time(text), int(number)
        except (KeyError, ValueError, TypeError, OverflowError):
            return None
        node = self._sessions.node_of(path, call, headers[TAG])
        if node is None or not self._state.may_call(node):
            return None
        return node if self._used.setdefault(node, _Used()).take(used) else None

    def _signer(self, key: bytes, text: bytes, signature: bytes) -> int | None:
        node = self._state.get_node_id_by_public_key(key)
        if node is None:
            raise UnknownKey
        return node if verify_signature(_parsed(key), text, signature) else None


def _time(text: str) -> datetime:
    """The time of a call.

    Raises:
        ValueError: it is too long ago, or ahead.
    """
    moment = datetime.fromisoformat(text)
    if not -_AHEAD < datetime.now(UTC) - moment < _BEHIND:
        raise ValueError("not now")
    return moment


@lru_cache(maxsize=4096)
def _parsed(key: bytes) -> EllipticCurvePublicKey:
    """The key of a registered node; whether it is registered is asked at every call."""
    return bytes_to_public_key(key)


class _Used:
    """The latest signatures of a node, by time and number; what is older than all of them counts as used."""

    def __init__(self) -> None:
        self._known: set[_Signature] = set()
        self._oldest_first: list[_Signature] = []
        self._forgotten: _Signature = datetime.min.replace(tzinfo=UTC), 0

    def take(self, signature: _Signature) -> bool:
        """Use a signature; returns False if it was used before."""
        if signature in self._known or signature <= self._forgotten:
            return False
        self._known.add(signature)
        heappush(self._oldest_first, signature)
        expired = datetime.now(UTC) - _BEHIND, 0  # nobody can use them again
        while len(self._known) > _REMEMBERED or (self._oldest_first and self._oldest_first[0] < expired):
            self._forgotten = heappop(self._oldest_first)
            self._known.remove(self._forgotten)
        return True
