"""Flower's names that are not public and that the clinic's worker needs; ``tests/federation`` says why.

The SuperNode gives tasks to this clinic's worker over its Runtime API, on this machine only: a task has a
token, which lives as long as heartbeats come. A task that ends without a reply would leave the SuperNode
waiting for ever, so a task is finished only after its reply was pushed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from cryptography.hazmat.primitives.serialization import load_ssh_private_key
from flwr.app import Context, Message, RecordDict
from flwr.common.constant import SubStatus
from flwr.common.serde import message_from_proto, message_to_proto
from flwr.proto.fleet_pb2 import ActivateNodeRequest, DeactivateNodeRequest
from flwr.proto.message_pb2 import Message as MessageProto
from flwr.proto.runtime_pb2 import AcquireTaskRequest, SendTaskHeartbeatRequest
from flwr.supercore.constant import TaskType
from flwr.supercore.heartbeat import HeartbeatSender
from flwr.supercore.inflatable.inflatable_object import get_all_nested_objects
from flwr.supercore.inflatable.inflatable_utils import ObjectPullError
from flwr.supercore.interceptors import (
    RuntimeTokenHttpInterceptor,
    RuntimeVersionHttpInterceptor,
    SuperExecAuthHttpInterceptor,
)
from flwr.supercore.primitives.asymmetric import public_key_to_bytes
from flwr.supercore.run import RunNotRunningException
from flwr.supercore.runtime import RuntimeHttpClient
from flwr.supercore.task_identity import TaskIdentity
from flwr.supernode.fleet_http_client import FleetHttpClient
from flwr.supernode.node_auth_http_interceptor import NodeAuthHttpInterceptor
from flwr.supernode.runtime.run_clientapp import pull_task_input, push_message, push_task_output


@dataclass(frozen=True)
class TaskIds:
    """Flower's numbers of a task.

    Attributes:
        task: its own.
        run: the run's.
        node: the clinic's.
    """

    task: int
    run: int
    node: int

    def context(self) -> Context:
        """What belongs to the task; also lets this process make messages in its name."""
        TaskIdentity.task_id, TaskIdentity.run_id, TaskIdentity.node_id = self.task, self.run, self.node
        return Context(self.run, self.node, {}, RecordDict(), {})


class TaskTakenBack(Exception):
    """There is nothing to answer any more."""


class Task:
    """A task that this process works on."""

    def __init__(self, address: str, token: str) -> None:
        self.token = token
        self._client = RuntimeHttpClient.from_server_address(
            server_address=address,
            insecure=True,
            root_certificates=None,
            interceptors=[
                RuntimeVersionHttpInterceptor(component_name="flwr-clientapp"),
                RuntimeTokenHttpInterceptor(token),
            ],
        )

    def pull(self) -> tuple[Message, TaskIds]:
        """The message to answer; it can be had once only.

        Raises:
            TaskTakenBack: its run has ended.
        """
        with self._unless_taken_back():
            return self._pull()

    def _pull(self) -> tuple[Message, TaskIds]:
        message, context, _, _ = pull_task_input(self._client)
        return message, TaskIds(int(TaskIdentity.task_id or 0), context.run_id, context.node_id)

    def push(self, reply: Message, context: Context) -> None:
        """Give the reply to the SuperNode, and end the task.

        Raises:
            TaskTakenBack: its run has ended.
        """
        with self._unless_taken_back():
            push_message(self._client, reply, context)
            # Nothing but the reply: neither the state of a context nor an error's text.
            push_task_output(self._client, None, SubStatus.COMPLETED, "")

    def lives(self) -> bool:
        """Whether the SuperNode still waits for this task; prolongs it."""
        try:
            return bool(self._client.SendTaskHeartbeat(SendTaskHeartbeatRequest()).success)
        except httpx.HTTPError:
            return False

    @contextmanager
    def _unless_taken_back(self) -> Iterator[None]:
        try:
            yield
        except (httpx.HTTPStatusError, ObjectPullError, RunNotRunningException, RuntimeError) as error:
            if self.lives():
                raise
            raise TaskTakenBack from error

    @contextmanager
    def kept_alive(self) -> Iterator[None]:
        """Heartbeats while the work lasts."""
        sender = HeartbeatSender(lambda: self.lives() or True)
        sender.start()
        try:
            yield
        finally:
            sender.stop()
            self._client.close()


class TaskSource:
    """The SuperNode on this machine, as who gives out tasks."""

    def __init__(self, address: str, secret: bytes) -> None:
        self._address = address
        self._client = RuntimeHttpClient.from_server_address(
            server_address=address,
            insecure=True,
            root_certificates=None,
            interceptors=[
                RuntimeVersionHttpInterceptor(component_name="SuperExec"),
                SuperExecAuthHttpInterceptor(
                    master_secret=secret, protected_methods=frozenset({"/flwr.proto.Runtime/AcquireTask"})
                ),
            ],
        )

    def next_task(self) -> Task | None:
        """A task, if there is one and the SuperNode is there."""
        request = AcquireTaskRequest(supported_task_types=[TaskType.CLIENT_APP])
        try:
            answer = self._client.AcquireTask(request)
        except httpx.TransportError:
            return None
        return Task(self._address, answer.token) if answer.HasField("task") and answer.token else None


def to_bytes(message: Message) -> bytes:
    """A message with its content."""
    return bytes(message_to_proto(message).SerializeToString())


def from_bytes(content: bytes) -> Message:
    """The message from :func:`to_bytes`."""
    return message_from_proto(MessageProto.FromString(content))


def sent_parts(message: Message) -> list[bytes]:
    """Everything of a message that is sent, as it is sent."""
    return [part.deflate() for part in get_all_nested_objects(message).values()]


def activate_once(address: str, ca: Path, key: Path) -> None:
    """Register the clinic's node as present, and as absent again.

    Raises:
        httpx.HTTPStatusError: the server does not know the key, or the clocks differ.
        httpx.TransportError: the server is away.
    """
    private = load_ssh_private_key(key.read_bytes(), None)
    public = private.public_key()
    with FleetHttpClient.from_server_address(
        address,
        False,
        str(ca),
        interceptors=[
            RuntimeVersionHttpInterceptor(component_name="SuperNode"),
            NodeAuthHttpInterceptor(private, public),  # type: ignore[arg-type]
        ],
    ) as client:
        request = ActivateNodeRequest(public_key=public_key_to_bytes(public), heartbeat_interval=30)  # type: ignore[arg-type]
        client.DeactivateNode(DeactivateNodeRequest(node_id=client.ActivateNode(request).node_id))
