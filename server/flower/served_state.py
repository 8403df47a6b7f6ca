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
    NodeStatus,
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
        self._undelivered: dict[int, list[str]] = {}  # messages that a node has not fetched, by its id

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

    def store_message_ins(self, message: Message) -> str | None:
        """Store a message for a node; the same one again changes nothing."""
        about, known = message.metadata, self.message_ins_store
        with self.lock:
            is_new = about.message_id not in known
            stored: str | None = super().store_message_ins(message)
            if stored and is_new:
                kept = [key for key in self._undelivered.get(about.dst_node_id, ()) if key in known]
                self._undelivered[about.dst_node_id] = [*kept, stored]
            return stored

    def get_message_ins(self, node_id: int, limit: int | None, *, run_id: int | None = None) -> list[Message]:
        """The messages for a node that it has not got yet; Flower's looks through those for all nodes."""
        with self.lock:
            keys = self._undelivered.pop(node_id, [])
            self._check_stored_messages(set(keys))
            waiting = [self.message_ins_store[key] for key in keys if key in self.message_ins_store]
            found = [one for one in waiting if run_id in (None, one.metadata.run_id)][:limit]
            self._undelivered[node_id] = [one.metadata.message_id for one in waiting if one not in found]
            for message in found:
                message.metadata.delivered_at = now().isoformat()
            return found

    def may_call(self, node_id: int) -> bool:
        """Whether a node is registered."""
        with self.lock:
            node = self.nodes.get(node_id)
            return node is not None and node.status != NodeStatus.UNREGISTERED

    def has_reply(self, message_id: str) -> bool:
        """Whether a reply to a message has been announced; its objects may be missing."""
        return message_id in self.message_ins_id_to_message_res_id

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
