"""Trainers that are built once in each process and kept."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

from flwr.app import Context

from dermafed.shared.training.trainer import Trainer

# Of the module, since an engine that works in other processes unpickles a new ``KeptTrainers`` per message.
_KEPT: dict[tuple[str, int], Trainer] = {}


@dataclass(frozen=True)
class KeptTrainers:
    """Builds a clinic's trainer when its first message comes, and keeps it for the next ones.

    Attributes:
        build: makes the trainer of a context's clinic; travels to worker processes by pickle, so let it
            load data rather than hold it.
    """

    build: Callable[[Context], Trainer]
    run: str = field(default_factory=lambda: uuid.uuid4().hex)

    def __call__(self, context: Context) -> Trainer:
        """The trainer of the context's clinic."""
        key = (self.run, int(context.node_config.get("partition-id", context.node_id)))
        if key not in _KEPT:
            _KEPT[key] = self.build(context)
        return _KEPT[key]

    def forget(self) -> None:
        """Let this process drop the trainers it has built."""
        for key in [key for key in _KEPT if key[0] == self.run]:
            del _KEPT[key]
