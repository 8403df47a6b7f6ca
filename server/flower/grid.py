"""Flower's Grid over the state of a server in the same process, for the clinics of one run."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass
from threading import Event

from flwr.app import Message

from dermafed.server.flower.expected_replies import ExpectedReplies
from dermafed.server.flower.inboxes import Inboxes
from dermafed.server.flower.message_store import (
    delete_message,
    delete_objects,
    missing_objects,
    object_keys,
    read_message,
    store_message,
    take_reply,
)
from dermafed.server.flower.node_objects import objects_of
from dermafed.server.flower.private_names import (
    ErrorCode,
    NodeInfo,
    NodeStatus,
    Run,
    error_instead,
    remove_content_from_message,
)
from dermafed.server.flower.run_grid import RunGrid
from dermafed.server.flower.served_state import ServedState
from dermafed.shared.errors import FederationError, StorageError
from dermafed.shared.storage.atomic_files import unwritable

log = logging.getLogger("dermafed.server")

_LOOK_SECONDS = 1.0  # between two questions whether a clinic that has not replied is still there, and in time


@dataclass
class _Arrival:
    """A reply whose objects are still arriving.

    Attributes:
        reply: the reply, without content.
        missing: objects that had not arrived at the last check.
        since: time of the last arrival.
    """

    reply: Message
    missing: set[str]
    since: float


class LinkGrid(RunGrid):
    """Sends to and receives from the given clinics only.

    A message and its reply are deleted from the state once the reply is pulled, or once the same clinic is
    sent another message. A reply that does not arrive in full becomes an error.

    Args:
        state: Flower's state.
        run_id: the open run.
        clinics: node id to name of the run's clinics.
        stopped: once it is set, every call raises a FederationError.
        stalled_seconds: how long a reply may stay incomplete without anything new of it arriving.
        replies: told of every message to which a reply is expected.
        suspended: the names of clinics that are not asked now.
        inboxes: told for whom a message waits, once the first reply is asked for: so what messages have in
            common is stored once.
    """

    def __init__(
        self,
        state: ServedState,
        run_id: int,
        clinics: Mapping[int, str],
        stopped: Event,
        stalled_seconds: float = 180.0,
        replies: ExpectedReplies | None = None,
        suspended: Callable[[], Container[str]] = tuple,
        inboxes: Inboxes | None = None,
    ) -> None:
        self._state = state
        self._run_id = run_id
        self._clinics = dict(clinics)
        self._stopped = stopped
        self._stalled_seconds = stalled_seconds
        self._suspended = suspended
        self._replies = replies or ExpectedReplies()
        self._replies.lost = None
        self._inboxes = inboxes or Inboxes()
        self._untold: set[int] = set()  # node ids with a message that no inbox tells of
        self._hashed: set[str] = set()  # of what these messages share, as the model
        self._sent: dict[int, str] = {}  # node id to the message that the node has to answer
        self._asked: dict[str, Message] = {}  # these messages, without content
        self._arriving: dict[str, _Arrival] = {}  # by the message it answers
        self._looked: dict[str, float] = {}  # when Flower was asked whether a reply can still come

    @property
    def run(self) -> Run:
        """The open run."""
        return next(iter(self._state.get_run_info(run_ids=[self._run_id])))

    def get_nodes(self) -> Iterable[NodeInfo]:
        """Node ids and names of the run's clinics that are connected and not suspended."""
        self._check_stopped()
        suspended = self._suspended()
        asked = [node for node, clinic in self._clinics.items() if clinic not in suspended]
        online = self._state.get_node_info(node_ids=asked, statuses=[NodeStatus.ONLINE]) if asked else ()
        return [NodeInfo(node_id=node.node_id, name=self._clinics[node.node_id]) for node in online]

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """Send messages; leaves out the ids of those that could not be sent.

        Raises:
            FederationError: the run was stopped.
            StorageError: the disk cannot be written.
        """
        return list(filter(None, map(self._push, messages)))

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """Replies to those messages whose replies are there in full, and errors for those that will get none.

        Raises:
            FederationError: the run was stopped.
            StorageError: the disk cannot be used, perhaps since a reply could not be kept.
        """
        if self._replies.lost:
            raise unwritable(self._replies.lost, "the server's folder")
        untold, self._untold = self._untold, set()
        self._inboxes.put(untold)
        self._hashed.clear()
        return list(filter(None, map(self._pull, message_ids)))

    def _push(self, message: Message) -> str | None:
        self._check_stopped()
        node = message.metadata.dst_node_id
        if node not in self._clinics:
            return None
        if earlier := self._sent.pop(node, None):
            self._delete(earlier)
        message_id = store_message(self._state, self._run_id, message, self._replies.add, self._hashed)
        if message_id:
            self._sent[node] = message_id
            self._untold.add(node)
            self._asked[message_id] = remove_content_from_message(message)
        return message_id

    def _pull(self, message_id: str) -> Message | None:
        self._check_stopped()
        arrival = self._arriving.get(message_id) or self._arrival(message_id)
        if why := self._replies.refusal(message_id):
            return self._refuse(message_id, why)
        if arrival is None:
            return None
        with objects_of(arrival.reply.metadata.src_node_id):
            missing = missing_objects(self._state, arrival.missing)
        if len(missing) < len(arrival.missing):
            arrival.missing, arrival.since = missing, time.monotonic()
        if missing and time.monotonic() - arrival.since < self._stalled_seconds:
            return None
        reply = self._read(arrival)
        self._delete(message_id)
        return reply

    def _refuse(self, message_id: str, why: str) -> Message:
        asked = self._asked[message_id]
        log.warning("%s: its reply was refused: %s", self._clinics[asked.metadata.dst_node_id], why)
        self._delete(message_id)
        return error_instead(asked, ErrorCode.REPLY_MESSAGE_UNAVAILABLE, "refused")

    def _arrival(self, message_id: str) -> _Arrival | None:
        """The reply to a message, as it begins to arrive."""
        if not self._may_end(message_id):
            return None
        reply = take_reply(self._state, self._run_id, message_id)
        if reply is None:
            return None
        # An error is in the message itself.
        keys = set() if reply.has_error() else _keys(self._state, reply)
        arrival = _Arrival(reply, keys, time.monotonic())
        self._arriving[message_id] = arrival
        return arrival

    def _may_end(self, message_id: str) -> bool:
        """Whether there is a reply, or it is time to ask Flower whether none will come any more."""
        now = time.monotonic()
        if now < self._looked.get(message_id, -math.inf) + _LOOK_SECONDS:
            return self._state.has_reply(message_id)
        self._looked[message_id] = now
        return True

    def _read(self, arrival: _Arrival) -> Message:
        reply = arrival.reply
        if reply.has_error():
            return reply
        if arrival.missing:
            return error_instead(reply, ErrorCode.REPLY_MESSAGE_UNAVAILABLE, "incomplete")
        try:
            with objects_of(reply.metadata.src_node_id):
                return read_message(self._state, reply.metadata.message_id)
        except StorageError:
            raise
        except Exception as error:  # a clinic can send anything
            log.warning("A reply could not be read (%s)", type(error).__name__)
            return error_instead(reply, ErrorCode.REPLY_MESSAGE_UNAVAILABLE, "unreadable")

    def _delete(self, message_id: str) -> None:
        arrival = self._arriving.pop(message_id, None)
        self._asked.pop(message_id, None)
        self._looked.pop(message_id, None)
        self._replies.remove(message_id)
        delete_message(self._state, message_id)
        if arrival is not None:
            with objects_of(arrival.reply.metadata.src_node_id):
                delete_objects(self._state, arrival.reply.metadata.message_id)

    def _check_stopped(self) -> None:
        if self._stopped.is_set():
            raise FederationError("The run was stopped", remedy="Resume it when you like")


def _keys(state: ServedState, reply: Message) -> set[str]:
    """The objects of a reply; a reply without readable objects counts as one that never arrives."""
    try:
        with objects_of(reply.metadata.src_node_id):
            return object_keys(state, reply.metadata.message_id)
    except StorageError:
        raise
    except Exception as error:
        log.warning("A reply has no objects (%s)", type(error).__name__)
        return {reply.metadata.message_id}
