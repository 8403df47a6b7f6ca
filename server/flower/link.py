"""The server's side of the link to the clinics: Flower's nodes and runs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Container, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from threading import Event, Lock

from dermafed.server.flower.contacts import Contacts
from dermafed.server.flower.expected_replies import ExpectedReplies
from dermafed.server.flower.grid import LinkGrid
from dermafed.server.flower.inboxes import Inboxes
from dermafed.server.flower.node_objects import NodeObjectStore
from dermafed.server.flower.private_names import (
    NOOP_ACCOUNT_NAME,
    NOOP_FEDERATION_ID,
    NOOP_FLWR_AID,
    NodeStatus,
    SubStatus,
    TaskType,
    become_task,
    make_app_bundle,
)
from dermafed.server.flower.served_state import ServedState
from dermafed.server.flower.spooled_objects import SpooledObjects
from dermafed.shared.errors import FederationError, SettingsError

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
        silence: seconds since it was heard; 0 if that is unknown.
    """

    id: int
    clinic: str
    online: bool
    silence: float = 0.0


class Link:
    """Flower's state in this process: nodes, runs, messages; nothing of it outlives the process.

    Args:
        folder: for what is large in messages while they are under way; emptied at the start, readable by its
            owner only.

    Attributes:
        state: Flower's state.
        folder: that folder.
        contacts: when each node was heard.
        replies: what is expected of each node.
        inboxes: for which nodes a message waits.

    Raises:
        StorageError: the folder cannot be used.
    """

    def __init__(self, folder: Path) -> None:
        self._one_run = Lock()
        self.contacts, self.replies, self.inboxes = Contacts(), ExpectedReplies(), Inboxes()
        objects = SpooledObjects(folder, self.replies.kept)
        self.state, self.folder = ServedState(NodeObjectStore(objects)), folder

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
        node_id = self.state.get_node_id_by_public_key(key)
        if node_id is not None and self.state.nodes[node_id].name == clinic:
            return node_id
        try:
            return self.state.create_node(NOOP_FLWR_AID, NOOP_ACCOUNT_NAME, key, _NODE_SECONDS, name=clinic)
        except ValueError as error:
            raise SettingsError(
                "The key belongs to another clinic, or to one that was removed",
                where=clinic,
                remedy="Have the clinic make a new key",
            ) from error

    def remove(self, node_id: int) -> None:
        """Remove a node; its next call is refused. Nothing happens if it is removed already."""
        if any(node.id == node_id for node in self.nodes()):
            self.state.delete_node(NOOP_FLWR_AID, node_id)

    def nodes(self) -> list[Node]:
        """The clinics that may connect, by name."""
        found = self.state.get_node_info(statuses=_PRESENT)
        nodes = (
            Node(
                info.node_id,
                info.name,
                online=info.status == NodeStatus.ONLINE,
                silence=self.contacts.silence(info.node_id),
            )
            for info in found
        )
        return sorted(nodes, key=lambda node: node.clinic)

    @contextmanager
    def open_run(self) -> Iterator[int]:
        """A run of Flower, open within the context; one at a time, since Flower has one task per process.

        At its end its messages are deleted.

        Yields:
            Flower's id of the run.

        Raises:
            FederationError: another run is open.
            StorageError: the disk cannot be used.
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
                self.replies.clear()
                _close(self.state, run_id, task_id, outcome)
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
        return LinkGrid(
            self.state,
            run_id,
            clinics,
            stopped,
            replies=self.replies,
            suspended=suspended,
            inboxes=self.inboxes,
        )


def _start(state: ServedState) -> tuple[int, int]:
    """Open a run; returns its id and its task's id."""
    fab, app_version = make_app_bundle(), version("dermafed")
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
    state.keep_running(task_id)
    become_task(task_id, run_id)
    return run_id, task_id


def _close(state: ServedState, run_id: int, task_id: int, outcome: str) -> None:
    state.finish_task(task_id, outcome, "")
    state.cleanup_run(run_id)
