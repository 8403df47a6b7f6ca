"""The link to the clinics as the coordinator needs it.

Over a network it is :class:`dermafed.server.flower.link.Link`; the tests have a federation in one process.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from threading import Event
from typing import Protocol

from flwr.serverapp import Grid


class Node(Protocol):
    """A clinic that may connect."""

    @property
    def id(self) -> int:
        """Flower's id of the node."""
        ...

    @property
    def clinic(self) -> str:
        """The clinic's name."""
        ...

    @property
    def online(self) -> bool:
        """Whether the node is connected."""
        ...


class Engine(Protocol):
    """The server's side of the link to the clinics."""

    def register(self, clinic: str, key: bytes) -> int:
        """Let a clinic connect with its key (PEM); returns its node id, the same for the same key."""
        ...

    def remove(self, node_id: int) -> None:
        """Disconnect a node for good."""
        ...

    def nodes(self) -> Sequence[Node]:
        """The clinics that may connect."""
        ...

    def open_run(self) -> AbstractContextManager[int]:
        """A run of Flower, open within the context; yields its id."""
        ...

    def grid(self, run_id: int, clinics: Mapping[int, str], stopped: Event) -> Grid:
        """The connection to some clinics (node id to name); it raises a FederationError once stopped."""
        ...
