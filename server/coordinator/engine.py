"""What the server's loop needs of the link to the clinics; tests put a federation in one process there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from threading import Event
from typing import Protocol

from flwr.serverapp import Grid

from dermafed.server.rounds.round_rules import RoundRules
from dermafed.shared.protocol.agreement import Answer
from dermafed.shared.protocol.offer import Offer


class Node(Protocol):
    """A clinic that may connect."""

    @property
    def id(self) -> int:
        """Flower's id of it."""
        ...

    @property
    def clinic(self) -> str:
        """Its name."""
        ...

    @property
    def online(self) -> bool:
        """Whether it is connected."""
        ...


class Engine(Protocol):
    """The server's side of the link to the clinics: :class:`dermafed.server.flower.link.Link`."""

    def register(self, clinic: str, key: bytes) -> int:
        """Let a clinic connect under its key (PEM); gives its node id, the same for the same key."""
        ...

    def remove(self, node_id: int) -> None:
        """Let a node connect no more."""
        ...

    def nodes(self) -> Sequence[Node]:
        """The clinics that may connect."""
        ...

    def open_run(self) -> AbstractContextManager[int]:
        """A run of Flower's, open within the context; gives its id."""
        ...

    def grid(self, run_id: int, clinics: Mapping[int, str], stopped: Event) -> Grid:
        """The connection to some clinics (node id to name); it raises a FederationError once stopped."""
        ...


class Agreement(Protocol):
    """Who takes part in a run: :class:`dermafed.server.coordinator.agree.Agreement`."""

    @property
    def joined(self) -> Mapping[int, str]:
        """Node id to name."""
        ...

    @property
    def class_counts(self) -> Sequence[int]:
        """Training images of each class over those that joined."""
        ...

    @property
    def answers(self) -> Mapping[str, Answer]:
        """What each clinic last said, by name."""
        ...

    @property
    def left_out(self) -> Mapping[str, str]:
        """The other clinics' names, each with the reason."""
        ...


Heard = Callable[[str, Answer, str], None]
"""Told what a clinic says, each time: its name, the answer, why it does not join."""


class Agree(Protocol):
    """Asks clinics to join a run: :func:`dermafed.server.coordinator.agree.agree`."""

    def __call__(
        self,
        grid: Grid,
        clinics: Mapping[int, str],
        offer: Offer,
        rules: RoundRules,
        approval_seconds: float,
        *,
        heard: Heard,
    ) -> Agreement:
        """Ask these clinics (node id to name) over their grid, for so many seconds.

        Raises:
            FederationError: fewer than the quorum joined, or the run was stopped.
        """
        ...
