"""A Grid that leaves out of its messages what of a model a clinic has, and completes what clinics leave out.

A clinic says in its replies which model it has. One that does not know it any more, since it was started
anew, says so, and gets the message in full; so does one of an earlier version, which says nothing. So each
model is sent to each clinic once: it is evaluated, then trained from, and of the next one comes what is new.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass

from flwr.app import ArrayRecord, ConfigRecord, Message, RecordDict
from flwr.serverapp import Grid

from dermafed.server.flower.run_grid import PassingGrid
from dermafed.shared.errors import FederationError
from dermafed.shared.protocol.known_model import (
    KNOWN,
    WEIGHTS,
    KnownModel,
    completed,
    is_patched,
    model_in,
    patch_of,
    patched,
    without,
)
from dermafed.shared.protocol.messages import Refusal
from dermafed.shared.protocol.selection_records import selection_in

VERSION = 1
"""Of the records by which messages leave something out."""

log = logging.getLogger("dermafed.server")


@dataclass
class _Asked:
    """A message with a model that waits for its reply.

    Attributes:
        message: the message in full.
        model: its model.
        sent: the id of what was sent.
    """

    message: Message
    model: KnownModel
    sent: str

    @property
    def node(self) -> int:
        """Whom it is for."""
        return self.message.metadata.dst_node_id


class SparingGrid(PassingGrid):
    """Passes messages on to a grid, without what the clinics have.

    Args:
        grid: the connection to the clinics.
    """

    def __init__(self, grid: Grid) -> None:
        super().__init__(grid)
        self._known: dict[int, KnownModel] = {}
        self._asked: dict[str, _Asked] = {}
        self._open: dict[int, str] = {}  # node id to the key of what it is asked
        self._last: tuple[object, KnownModel] | None = None
        self._patches: dict[str, RecordDict | None] = {}  # of the last model, by its base

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """Send messages; leaves out the ids of those that could not be sent."""
        return [message_id for message in messages for message_id in self._push(message)]

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """Replies to those messages that have one."""
        return [reply for message_id in message_ids for reply in self._pull(message_id)]

    def _push(self, message: Message) -> list[str]:
        model, node = self._model_of(message.content), message.metadata.dst_node_id
        if model is None:
            return list(self._grid.push_messages([message]))
        self._asked.pop(self._open.pop(node, ""), None)
        base = self._known.pop(node, None)  # what it knows is certain again once it answers
        patch = self._patch(message.content, model, base) if base else None
        content = message.content if patch is None else patched(message.content, patch)
        sent = _like(message, RecordDict({**content, KNOWN: ConfigRecord({"version": VERSION})}))
        ids = list(self._grid.push_messages([sent]))
        for one in ids:
            self._asked[one], self._open[node] = _Asked(message, model, one), one
        return ids

    def _pull(self, message_id: str) -> list[Message]:
        asked = self._asked.get(message_id)
        if asked is None:
            return list(self._grid.pull_messages([message_id]))
        replies = list(self._grid.pull_messages([asked.sent]))
        if not replies:
            return []
        del self._asked[message_id]
        (reply,) = replies
        if reply.has_error():
            return self._in_full(message_id, asked, reply)
        self._note_known(reply, asked)
        _complete(reply, asked)
        return [reply]

    def _in_full(self, message_id: str, asked: _Asked, error: Message) -> list[Message]:
        """Ask again a clinic that does not know the model, without anything left out; others failed."""
        if error.error.code == Refusal.MODEL_UNKNOWN and (ids := self._push(asked.message)):
            self._asked[message_id], self._open[asked.node] = self._asked.pop(ids[0]), message_id
            return []
        return [error]

    def _note_known(self, reply: Message, asked: _Asked) -> None:
        told = reply.content.get(KNOWN)
        if isinstance(told, ConfigRecord):
            reply.content = without(reply.content, KNOWN)
            if told.get("model") == asked.model.digest:
                self._known[asked.node] = asked.model

    def _model_of(self, content: RecordDict) -> KnownModel | None:
        """The model of a message, whose record is the same for all clinics of an exchange."""
        record = content.get(WEIGHTS)
        if not isinstance(record, ArrayRecord):
            return None
        if self._last is None or self._last[0] is not record:
            found = model_in(content)
            if found is None:
                return None
            before = self._last[1] if self._last else None
            if before is not None and before.digest == found.digest:
                found = before
            else:
                self._patches = {}
            self._last = record, found
        return self._last[1]

    def _patch(self, content: RecordDict, model: KnownModel, base: KnownModel) -> RecordDict | None:
        if base.digest not in self._patches:
            selection = selection_in(content, model.weights.size)
            self._patches[base.digest] = patch_of(model, base, selection)
        return self._patches[base.digest]


def _like(message: Message, content: RecordDict) -> Message:
    about = message.metadata
    return Message(content, about.dst_node_id, about.message_type, ttl=about.ttl, group_id=about.group_id)


def _complete(reply: Message, asked: _Asked) -> None:
    if not is_patched(reply.content):
        return
    try:
        selection = selection_in(asked.message.content, asked.model.weights.size)
        reply.content, _ = completed(reply.content, asked.model, selection)
    except FederationError as error:  # it has no weights then, and is refused for that
        log.warning("A reply cannot be completed: %s", error)
