"""Flower's state of nodes, runs and messages, in this process's memory.

Nothing of it has to outlive the process: who may connect is in the federation's record, a run starts again
from its last round, and a message is asked anew. In a database, each call of a node was some ten transactions
of which one at a time can write.
"""

from __future__ import annotations

import hashlib
from copy import deepcopy
from datetime import timedelta
from typing import Any

from flwr.app import Message

from dermafed.server.flower.node_objects import NodeObjectStore
from dermafed.server.flower.private_names import (
    InMemoryLinkState,
    NoOpFederationManager,
    ObjectTree,
    RunStatus,
    Status,
    SubStatus,
    now,
)

_ENDED = RunStatus(Status.FINISHED, SubStatus.FAILED, "")


class ServedState(InMemoryLinkState):
    """Flower's state; a clinic's node has the same id after a restart, and runs of before it have ended.

    Args:
        objects: the store of what messages consist of.
    """

    def __init__(self, objects: NodeObjectStore) -> None:
        super().__init__(NoOpFederationManager(), objects)
        self._objects = objects

    @property
    def object_store(self) -> NodeObjectStore:
        """The store of what messages consist of."""
        return self._objects

    def create_node(self, *arguments: Any, **settings: Any) -> int:
        """Register a node; its id follows from its key, so that a node outlives a restart of the server."""
        with self.lock:
            drawn: int = super().create_node(*arguments, **settings)
            info = self.nodes.pop(drawn)
            info.node_id = node_id_of(info.public_key)
            self.nodes[info.node_id] = info
            self.node_public_key_to_node_id[info.public_key] = info.node_id
            self.owner_to_node_ids[info.owner_aid] ^= {drawn, info.node_id}
            return int(info.node_id)

    def store_message_and_object_tree(
        self, message: Message, object_tree: ObjectTree, session_id: str
    ) -> tuple[bool, list[str]]:
        """Store a message without content, and register its objects; later changes of it are no change here.

        Flower's copies of a message share its metadata, and making one says that it was not delivered.
        """
        # In the order in which an expired session takes both locks: Flower's would stop both for ever.
        with self._lock_object_push_sessions:
            return super().store_message_and_object_tree(deepcopy(message), object_tree, session_id)

    def get_run_status(self, run_ids: set[int]) -> dict[int, RunStatus]:
        """The status of runs; one that is not known was that of a server before this one, and has ended."""
        return dict.fromkeys(run_ids, _ENDED) | super().get_run_status(run_ids)

    def keep_running(self, task_id: int) -> None:
        """Keep a task running without heartbeats, which Flower otherwise needs every minute.

        The task is this process itself: it cannot end alone, but it may be suspended, as a virtual machine is
        while it is copied.
        """
        with self.lock_task_store:
            self.task_token_store[task_id].active_until = now() + timedelta(days=3650)


def node_id_of(public_key: bytes) -> int:
    """The id of the node with a public key: 64 bits of its hash, without Flower's own 0 and 1."""
    return 2 + int.from_bytes(hashlib.sha256(public_key).digest()[:8]) % (2**64 - 2)
