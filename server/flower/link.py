"""The server's side of the link to the clinics: Flower's nodes and runs over one database."""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Callable, Container, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from threading import Event, Lock

from dermafed.server.flower.contacts import Contacts
from dermafed.server.flower.expected_replies import ExpectedReplies
from dermafed.server.flower.grid import LinkGrid
from dermafed.server.flower.message_store import database_errors
from dermafed.server.flower.node_objects import NodeObjectStore
from dermafed.server.flower.private_names import (
    NOOP_ACCOUNT_NAME,
    NOOP_FEDERATION_ID,
    NOOP_FLWR_AID,
    LinkState,
    NodeStatus,
    Status,
    SubStatus,
    TaskType,
    become_task,
    keep_running,
    linkstate_of,
    make_app_bundle,
    make_superlink,
    wrap_object_store,
)
from dermafed.shared.errors import FederationError, SettingsError
from dermafed.shared.storage.atomic_files import unwritable

log = logging.getLogger("dermafed.server")

_NODE_SECONDS = 30.0  # between the heartbeats of a node
_PRESENT = (NodeStatus.REGISTERED, NodeStatus.ONLINE, NodeStatus.OFFLINE)


@dataclass(frozen=True)
class Node:
    """A clinic that may connect.

    Attributes:
        id: Flower's id of it.
        clinic: its name.
        online: whether it is connected.
        seen: whether it ever was.
        silence: seconds since it was heard; 0 if that is unknown.
    """

    id: int
    clinic: str
    online: bool
    seen: bool = True
    silence: float = 0.0


class Link:
    """Flower's state and app over one database, which this process alone uses.

    Closes runs that a sudden end left open.

    Args:
        database: the file; made if it is not there, readable by its owner only.

    Raises:
        StorageError: the file cannot be used.
    """

    def __init__(self, database: Path) -> None:
        _make_private(database)
        self._database = database
        self._one_run = Lock()
        with database_errors():
            self.superlink = make_superlink(database)
            wrap_object_store(self.superlink, NodeObjectStore)
            self.superlink.state.contacts = self._contacts = Contacts()
            self.superlink.state.expected_replies = self._replies = ExpectedReplies()
            self.state: LinkState = linkstate_of(self.superlink)
        _close_leftovers(self.state)

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
        """Remove a node; its next call is refused. Nothing happens if it is removed already."""
        with database_errors():
            if any(node.id == node_id for node in self.nodes()):
                self.state.delete_node(NOOP_FLWR_AID, node_id)

    def nodes(self) -> list[Node]:
        """The clinics that may connect, by name."""
        with database_errors():
            found = self.state.get_node_info(statuses=_PRESENT)
        nodes = (
            Node(
                info.node_id,
                info.name,
                online=info.status == NodeStatus.ONLINE,
                seen=info.status != NodeStatus.REGISTERED,
                silence=self._contacts.silence(info.node_id),
            )
            for info in found
        )
        return sorted(nodes, key=lambda node: node.clinic)

    def node_ids(self) -> dict[str, int]:
        """Name to node id of these clinics."""
        return {node.clinic: node.id for node in self.nodes()}

    @contextmanager
    def open_run(self) -> Iterator[int]:
        """A run of Flower, open within the context; one at a time, since Flower has one task per process.

        At its end its messages are deleted, and the database returns the space.

        Yields:
            Flower's id of the run.

        Raises:
            FederationError: another run is open.
            StorageError: the database cannot be used.
        """
        if not self._one_run.acquire(blocking=False):
            raise FederationError("Another run is open", remedy="Wait for its end, or stop it")
        try:
            run_id, task_id = _start(self.state)
            outcome = SubStatus.FAILED
            try:
                yield run_id
                outcome = SubStatus.COMPLETED
            finally:
                self._replies.clear()
                _close(self.state, run_id, task_id, outcome)
                _compact(self._database)
        finally:
            self._one_run.release()

    def grid(
        self,
        run_id: int,
        clinics: Mapping[int, str],
        stopped: Event,
        suspended: Callable[[], Container[str]] = tuple,
    ) -> LinkGrid:
        """The connection of an open run to some clinics; see :class:`LinkGrid`."""
        return LinkGrid(self.state, run_id, clinics, stopped, replies=self._replies, suspended=suspended)


def _make_private(database: Path) -> None:
    """Make the file, or its mode, such that only its owner reads it; SQLite's other files follow it."""
    try:
        os.close(os.open(database, os.O_CREAT | os.O_RDWR, 0o600))
        database.chmod(0o600)
    except OSError as error:
        raise unwritable(error, database) from error


def _close_leftovers(state: LinkState) -> None:
    """Close the runs that a sudden end of the server left open."""
    with database_errors():
        runs = state.get_run_info(statuses=[Status.PENDING, Status.STARTING, Status.RUNNING])
    for run in runs:
        _close(state, run.run_id, run.primary_task_id or 0, SubStatus.FAILED)


def _start(state: LinkState) -> tuple[int, int]:
    """Open a run; returns its id and its task's id."""
    fab, app_version = make_app_bundle(), version("dermafed")
    with database_errors():
        state.store_fab(fab)
        run_id = state.create_run(
            "dermafed/dermafed",
            app_version,
            fab.hash_str,
            {},
            NOOP_FEDERATION_ID,
            None,
            NOOP_FLWR_AID,
            TaskType.SERVER_APP,
        )
        task_id = next((run.primary_task_id for run in state.get_run_info(run_ids=[run_id])), None)
        if task_id is None or not (state.claim_task(task_id) and state.activate_task(task_id)):
            raise FederationError("Flower did not start the run", remedy="Start it again")
        keep_running(state, task_id)
    become_task(task_id, run_id)
    return run_id, task_id


def _close(state: LinkState, run_id: int, task_id: int, outcome: str) -> None:
    with database_errors():
        state.finish_task(task_id, outcome, "")
        state.cleanup_run(run_id)


def _compact(database: Path) -> None:
    """Return the space of deleted messages to the disk, unless the database is being read."""
    try:
        with closing(sqlite3.connect(database, isolation_level=None, timeout=10)) as connection:
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except sqlite3.Error as error:
        log.warning("%s keeps its size (%s)", database.name, type(error).__name__)
