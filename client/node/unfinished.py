"""The task that the worker has in hand, on disk: a worker that was killed takes it up again."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from flwr.app import Message

from dermafed.client.node.flower.worker_names import TaskIds, from_bytes, to_bytes
from dermafed.client.node.home import write_private


@dataclass(frozen=True)
class Unfinished:
    """A task in hand.

    Attributes:
        token: lets its holder answer the message.
        ids: Flower's numbers.
        message: what the server asked.
        again: whether a worker died over it already.
    """

    token: str
    ids: TaskIds
    message: Message
    again: bool = False


@dataclass(frozen=True)
class TaskFiles:
    """Where the task in hand is kept, and whether its reply is on its way to the SuperNode."""

    folder: Path

    def keep(self, task: Unfinished) -> None:
        """Write a task down; the short file last, since it makes the task count."""
        write_private(self._message, to_bytes(task.message))
        values = {"token": task.token, "ids": asdict(task.ids), "again": task.again}
        write_private(self._task, json.dumps(values).encode())

    def take_up(self) -> Unfinished | None:
        """The task that a worker died over, marked so that it is not tried for ever."""
        try:
            values = json.loads(self._task.read_text("utf-8"))
            message = from_bytes(self._message.read_bytes())
            task = Unfinished(values["token"], TaskIds(**values["ids"]), message, bool(values["again"]))
        except (OSError, ValueError, KeyError, TypeError):
            self.clear()
            return None
        write_private(self._task, json.dumps({**values, "again": True}).encode())
        return task

    def start_push(self) -> None:
        """From now on half a reply may be with the SuperNode, which would wait for the rest for ever."""
        self._task.replace(self._pushing)

    def in_hand(self) -> bool:
        """Whether there is a task at all."""
        return self._task.exists() or self._pushing.exists()

    def stuck(self) -> bool:
        """Whether a worker died while it pushed; only a new SuperNode helps then."""
        return self._pushing.exists()

    def clear(self) -> None:
        """Nothing is in hand."""
        for path in (self._task, self._pushing, self._message):
            path.unlink(missing_ok=True)

    @property
    def _task(self) -> Path:
        return self.folder / "task.json"

    @property
    def _message(self) -> Path:
        return self.folder / "task.message"

    @property
    def _pushing(self) -> Path:
        return self.folder / "pushing.json"
