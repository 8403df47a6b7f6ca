"""Every name of Flower that is not public and that the engines need; ``tests/federation`` says why."""

from __future__ import annotations

from flwr.proto.node_pb2 import NodeInfo
from flwr.supercore.run import Run
from flwr.supercore.task_identity import TaskIdentity

__all__ = ["SERVER_NODE", "NodeInfo", "Run", "become_server_task"]

SERVER_NODE = 1


def become_server_task() -> None:
    """Give this process the identity that Flower requires of one that makes messages."""
    TaskIdentity.task_id = 1
    TaskIdentity.run_id = 1
    TaskIdentity.node_id = SERVER_NODE
