"""The server's side of the link to the clinics: whose key may connect, and the messages' state."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event, Lock

from dermafed.server.flower.flower_run import close_leftovers, open_run
from dermafed.server.flower.grid import LinkGrid
from dermafed.server.flower.message_store import database_errors
from dermafed.server.flower.private_names import (
    HEARTBEAT_PATIENCE,
    NOOP_ACCOUNT_NAME,
    NOOP_FLWR_AID,
    LinkState,
    NodeInfo,
    NodeStatus,
    linkstate_of,
    make_superlink,
)
from dermafed.shared.errors import SettingsError
from dermafed.shared.storage.atomic_files import unwritable

_NODE_SECONDS = 30.0  # between the heartbeats of a node
_PRESENT = (NodeStatus.REGISTERED, NodeStatus.ONLINE, NodeStatus.OFFLINE)


@dataclass(frozen=True)
class Node:
    """A clinic that may connect.

    Attributes:
        id: Flower's id of it.
        clinic: its name.
        online: whether it is connected.
        last_seen: time of its last heartbeat, or when it was found to be gone; ``None``: never connected.
    """

    id: int
    clinic: str
    online: bool
    last_seen: datetime | None


class Link:
    """Flower's state and app over one database, which this process alone uses.

    Runs that a sudden end left open are closed.

    Args:
        database: the file; made if it is not there, readable by its owner only.

    Raises:
        StorageError: the file cannot be used.
    """

    def __init__(self, database: Path) -> None:
        _keep_private(database)
        self._database = database
        self._one_run = Lock()
        with database_errors():
            self.superlink = make_superlink(database)
            self.state: LinkState = linkstate_of(self.superlink)
        close_leftovers(self.state)

    def register(self, clinic: str, key: bytes) -> int:
        """Let a clinic connect.

        Args:
            clinic: its name.
            key: its public key, PEM (SubjectPublicKeyInfo).

        Returns:
            The id of its node; the same again for the same clinic and key.

        Raises:
            SettingsError: the key is another clinic's, or was removed once.
        """
        with database_errors():
            node_id = self.state.get_node_id_by_public_key(key)
            if node_id is not None and node_id == self.node_ids().get(clinic):
                return node_id
            try:
                return self.state.create_node(
                    NOOP_FLWR_AID, NOOP_ACCOUNT_NAME, key, _NODE_SECONDS, name=clinic
                )
            except ValueError as error:
                raise SettingsError(
                    "The key belongs to another clinic, or to one that was removed",
                    where=clinic,
                    remedy="Have the clinic make a new key",
                ) from error

    def remove(self, node_id: int) -> None:
        """Let a node connect no more; its next call is refused. Nothing happens if it is gone already."""
        with database_errors():
            if any(node.id == node_id for node in self.nodes()):
                self.state.delete_node(NOOP_FLWR_AID, node_id)

    def nodes(self) -> list[Node]:
        """The clinics that may connect, by name."""
        with database_errors():
            nodes = [_node(info) for info in self.state.get_node_info(statuses=_PRESENT)]
        return sorted(nodes, key=lambda node: node.clinic)

    def node_ids(self) -> dict[str, int]:
        """The same, as name to node id."""
        return {node.clinic: node.id for node in self.nodes()}

    def open_run(self) -> AbstractContextManager[int]:
        """A run, open within the context; see :func:`dermafed.server.flower.flower_run.open_run`."""
        return open_run(self.state, self._database, self._one_run)

    def grid(self, run_id: int, clinics: Mapping[int, str], stopped: Event) -> LinkGrid:
        """The connection of an open run to some clinics; see :class:`LinkGrid`."""
        return LinkGrid(self.state, run_id, clinics, stopped)


def _keep_private(database: Path) -> None:
    """Make the file, or its mode, such that only its owner reads it; SQLite's other files follow it."""
    try:
        os.close(os.open(database, os.O_CREAT | os.O_RDWR, 0o600))
        database.chmod(0o600)
    except OSError as error:
        raise unwritable(error, database) from error


def _node(info: NodeInfo) -> Node:
    online = info.status == NodeStatus.ONLINE
    seen: datetime | None = None
    if online:
        beat = timedelta(seconds=HEARTBEAT_PATIENCE * info.heartbeat_interval)
        seen = datetime.fromtimestamp(info.online_until, UTC) - beat
    elif info.last_deactivated_at:
        seen = datetime.fromisoformat(info.last_deactivated_at)
    return Node(info.node_id, info.name, online, seen)
