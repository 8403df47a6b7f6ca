"""Each clinic's trainer, built once in a process."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

from flwr.app import Context

from dermafed.shared.training.trainer import Trainer

TrainerFor = Callable[[Context], Trainer]

# Of the module, since an engine that works in other processes unpickles a new ``TrainerCache`` per message.
_TRAINERS: dict[tuple[str, int], Trainer] = {}


@dataclass(frozen=True)
class TrainerCache:
    """Builds a clinic's trainer when its first message comes, and reuses it for the next ones.

    Attributes:
        build: makes the trainer of a context's clinic; travels to worker processes by pickle, so it should
            load data rather than contain it.
    """

    build: TrainerFor
    run: str = field(default_factory=lambda: uuid.uuid4().hex)

    def __call__(self, context: Context) -> Trainer:
        """The trainer of the context's clinic."""
        key = (self.run, int(context.node_config.get("partition-id", context.node_id)))
        if key not in _TRAINERS:
            _TRAINERS[key] = self.build(context)
        return _TRAINERS[key]

    def clear(self) -> None:
        """Drop the trainers that this process has built."""
        for key in [key for key in _TRAINERS if key[0] == self.run]:
            del _TRAINERS[key]
