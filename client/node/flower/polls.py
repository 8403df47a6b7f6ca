"""How often a node calls: at once after a call that was kept waiting, and by heartbeats only if need be.

A server keeps a call for messages waiting for two seconds, and says so. An idle node is then heard every two
seconds, and a message reaches it without delay. A node that works does not call for messages: it sends a
heartbeat about once a second, so that a coordinator soon sees that it died. The server of a large federation
says that heartbeats are due less often.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import httpx
from flwr.proto.fleet_pb2 import PullMessagesRequest, PullMessagesResponse
from flwr.supercore.heartbeat import HeartbeatSender

from dermafed.client.node.flower.bundles import BundlingClient

POLL_SECONDS = 0.5
"""Between two calls for messages, if the server does not keep them waiting."""

BEAT_SECONDS = 1.25  # of which Flower takes 70 to 90 %
_FLOWER_SECONDS = 10.0  # a server that keeps no call waiting is Flower's own, whose patience is a minute
_QUIET_SECONDS = 1.0  # after a call, no heartbeat is needed; unless the server says how long
_KEPT_SECONDS = 60.0  # a connection without calls; a new one costs both sides more than a call


class Polls:
    """One node's calls for messages.

    Attributes:
        held: whether the server keeps them waiting.
    """

    def __init__(self) -> None:
        self.held = False
        self._calling, self._quiet = False, _QUIET_SECONDS
        self._due = self._beat = 0.0  # when a heartbeat is due, and when the last was

    def pause(self) -> float:
        """Seconds until the next call, after one that brought nothing."""
        return 0.0 if self.held else POLL_SECONDS

    def call(self, request: Callable[[], PullMessagesResponse]) -> PullMessagesResponse:
        """Make a call for messages."""
        self._calling, held = True, False
        try:
            answer = request()
            held = answer.HasField("reconnect")
            self._quiet = max(_QUIET_SECONDS, answer.reconnect.reconnect)
        finally:
            self._calling, self.held = False, held
            self._due = time.monotonic() + self._quiet
        return answer

    def needs_beat(self) -> bool:
        """Whether a heartbeat is due, which the caller sends then."""
        now = time.monotonic()
        heard = self._calling or now < self._due
        if heard and (self.held or now - self._beat < _FLOWER_SECONDS):
            return False
        self._beat = now
        self._due = now + self._quiet - _QUIET_SECONDS  # who asks does so each second
        return True


_current: ContextVar[Polls] = ContextVar("polls")


def current_polls() -> Polls:
    """Those of the connection that this thread has opened last."""
    return _current.get()


class PollingClient(BundlingClient):
    """Flower's client with few calls, of which those for messages are :class:`Polls`."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        with self._client as first:
            limits = httpx.Limits(keepalive_expiry=_KEPT_SECONDS)
            self._client = httpx.Client(
                verify=settings["verify"], timeout=first.timeout, follow_redirects=True, limits=limits
            )
        self._polls = Polls()
        _current.set(self._polls)

    def PullMessages(self, request: PullMessagesRequest) -> PullMessagesResponse:
        """Ask for a message."""
        pull = super().PullMessages
        return self._polls.call(lambda: pull(request))


class SparingHeartbeats(HeartbeatSender):
    """Flower's heartbeats, without those of a node that calls for messages."""

    def __init__(self, heartbeat_fn: Callable[[], bool]) -> None:
        polls = current_polls()
        super().__init__(lambda: heartbeat_fn() if polls.needs_beat() else True)
