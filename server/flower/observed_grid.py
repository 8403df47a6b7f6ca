"""A Grid that notes in the run's folder who was asked and who has replied."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from flwr.app import Array, Message, RecordDict
from flwr.serverapp import Grid

from dermafed.server.flower.run_grid import PassingGrid
from dermafed.server.rounds.exchange import error_text
from dermafed.server.rounds.open_exchange import OpenExchange, load_exchange, save_exchange
from dermafed.shared.errors import StorageError

_WRITE_SECONDS = 0.5  # between two writes, unless all have replied


class ObservedGrid(PassingGrid):
    """Passes everything on to a grid.

    Args:
        grid: the connection to the clinics.
        clinics: node id to name.
        folder: of the run; what was sent and received in it before is added to.
    """

    def __init__(self, grid: Grid, clinics: Mapping[int, str], folder: Path) -> None:
        super().__init__(grid)
        self._clinics, self._folder = dict(clinics), folder
        before = load_exchange(folder)
        self._exchange = OpenExchange(traffic=before.traffic if before else {})
        self._asked, self._is_written, self._written = False, True, 0.0

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """Send messages; leaves out the ids of those that could not be sent."""
        sent: list[str] = []
        for message in messages:
            for message_id in self._grid.push_messages([message]):
                self._note_asked(message)
                sent.append(message_id)
        return sent

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """Replies to those messages that have one."""
        if self._asked:
            self._write()
        replies = list(self._grid.pull_messages(message_ids))
        for reply in replies:
            self._note_answered(reply)
        if (replies and self._exchange.is_complete) or time.monotonic() - self._written > _WRITE_SECONDS:
            self._write()
        return replies

    def _note_asked(self, message: Message) -> None:
        about = message.metadata
        clinic = self._clinic(about.dst_node_id)
        number = int(about.group_id) if about.group_id.isdigit() else 0
        size = size_of(message.content)
        self._exchange = self._exchange.asked(clinic, about.message_type, number, about.ttl, size)
        self._asked, self._is_written = True, False

    def _note_answered(self, reply: Message) -> None:
        clinic = self._clinic(reply.metadata.src_node_id)
        problem = error_text(reply.error) if reply.has_error() else ""
        size = 0 if reply.has_error() else size_of(reply.content)
        self._exchange = self._exchange.answered(clinic, problem, size)
        self._is_written = False

    def _clinic(self, node: int) -> str:
        return self._clinics.get(node, f"node {node}")

    def _write(self) -> None:
        if self._is_written:
            return
        with suppress(StorageError):  # what a run needs is written by itself, and says why it cannot be
            save_exchange(self._folder, self._exchange)
        self._asked, self._is_written, self._written = False, True, time.monotonic()


def size_of(content: RecordDict) -> int:
    """Bytes of a message's arrays, texts and numbers, before Flower packs them."""
    return sum(_size(value) for record in content.values() for value in record.values())


def _size(value: object) -> int:
    if isinstance(value, Array):
        return len(value.data)
    if isinstance(value, str | bytes):
        return len(value)
    return 8 * (len(value) if isinstance(value, list) else 1)
