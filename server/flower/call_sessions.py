"""The sessions of nodes' calls, as :mod:`dermafed.shared.protocol.call_sessions` describes them."""

from __future__ import annotations

import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from dermafed.shared.protocol.call_sessions import Secret

SESSION_SECONDS = 3600.0
"""After which a node has to sign again."""

_OF_A_NODE = 4  # a node has one; after a restart, another


@dataclass(frozen=True)
class _Session:
    node: int
    secret: Secret
    ends: float


class CallSessions:
    """The open sessions, in this process's memory.

    Args:
        clock: seconds that never go back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._open: dict[str, _Session] = {}
        self._of_node: dict[int, OrderedDict[str, None]] = {}

    def new(self, node: int) -> Secret:
        """Open a session for a node that has just signed; of too many its oldest one ends."""
        secret = Secret(secrets.token_hex(16), secrets.token_bytes(32))
        self._open[secret.name] = _Session(node, secret, self._clock() + SESSION_SECONDS)
        names = self._of_node.setdefault(node, OrderedDict())
        names[secret.name] = None
        while len(names) > _OF_A_NODE:
            del self._open[names.popitem(last=False)[0]]
        return secret

    def node_of(self, path: str, call: str, tag: str) -> int | None:
        """The node that tagged a call; ``None``: the tag is wrong, or there is no such session."""
        session = self._open.get(call.partition(" ")[0])
        if session is None or session.ends <= self._clock():
            return None
        right = hmac.compare_digest(session.secret.tag(path, call).encode(), tag.encode())
        return session.node if right else None
