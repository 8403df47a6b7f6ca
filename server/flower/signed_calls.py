"""Find out by the headers of a call which node makes it, before its body is read.

Flower reads the body first. It signs the time alone, so that one signature would be good for many bodies.
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

from dermafed.server.flower.private_names import (
    PUBLIC_KEY_HEADER,
    SIGNATURE_HEADER,
    SYSTEM_TIME_TOLERANCE,
    TIMESTAMP_HEADER,
    TIMESTAMP_TOLERANCE,
    LinkState,
    bytes_to_public_key,
    verify_signature,
)

_AHEAD = timedelta(seconds=SYSTEM_TIME_TOLERANCE)
_BEHIND = timedelta(seconds=TIMESTAMP_TOLERANCE + SYSTEM_TIME_TOLERANCE)
_REMEMBERED = 4096  # signatures of each node, which has a few calls under way

_Signature = tuple[datetime, int]


class UnknownKey(Exception):
    """No registered node has this key."""


class SignedCalls:
    """Takes each signature of a registered node once, as Flower would take it."""

    def __init__(self, state: LinkState) -> None:
        self._state = state
        self._used: dict[int, _Used] = {}

    async def node_of(self, headers: Headers) -> int | None:
        """The node that signed a call; ``None`` if none did, or the signature was used before.

        Raises:
            UnknownKey: the key is of no registered node.
        """
        try:
            key = b64decode(headers[PUBLIC_KEY_HEADER], validate=True)
            signature = b64decode(headers[SIGNATURE_HEADER], validate=True)
            # Anyone can make a second signature (r, -s) of (r, s); a second one of the node has another r.
            number, _ = decode_dss_signature(signature)
            text = headers[TIMESTAMP_HEADER]
            signed = datetime.fromisoformat(text)
            if not -_AHEAD < datetime.now(UTC) - signed < _BEHIND:
                return None
            node = await asyncio.to_thread(self._signer, key, text.encode("ascii"), signature)
        except (KeyError, ValueError, TypeError, OverflowError, binascii.Error):
            return None
        fresh = node is not None and self._used.setdefault(node, _Used()).take((signed, number))
        return node if fresh else None

    def _signer(self, key: bytes, text: bytes, signature: bytes) -> int | None:
        node = self._state.get_node_id_by_public_key(key)
        if node is None:
            raise UnknownKey
        return node if verify_signature(_parsed(key), text, signature) else None


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
