"""The tasks that Flower's SuperNode gives to the clinic's worker, and the one that the worker is at, on disk.

Only here, and in :mod:`dermafed.client.node.flower.supernode`, the client uses names of Flower that are not
public; ``tests/client/node/flower`` checks what is taken for granted.

The Runtime API is on this machine only. A task has a token, which is valid as long as heartbeats come. A task
that ends without a reply would leave the SuperNode waiting for ever, so a task ends only after its reply was
pushed, and a worker that starts after another was killed finishes the task of that one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx
from flwr.app import Context, Message, RecordDict
from flwr.common.constant import SubStatus
from flwr.common.serde import message_from_proto, message_to_proto
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
from flwr.supercore.run import RunNotRunningException
from flwr.supercore.runtime import RuntimeHttpClient
from flwr.supercore.task_identity import TaskIdentity
from flwr.supernode.runtime.run_clientapp import pull_task_input, push_message, push_task_output

from dermafed.shared.storage.atomic_files import write_private


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
        """The task's context; also lets this process make messages in the task's name."""
        TaskIdentity.task_id, TaskIdentity.run_id, TaskIdentity.node_id = self.task, self.run, self.node
        return Context(self.run, self.node, {}, RecordDict(), {})


class TaskTakenBack(Exception):
    """The SuperNode no longer waits for an answer: the run has ended."""


class Task:
    """A task that this process works on."""

    def __init__(self, address: str, token: str) -> None:
        self.token = token
        self._client = _client(address, "flwr-clientapp", RuntimeTokenHttpInterceptor(token))

    def pull(self) -> tuple[Message, TaskIds]:
        """The message to answer; it can be pulled once only.

        Raises:
            TaskTakenBack: its run has ended.
        """
        with self._taken_back():
            message, context, _, _ = pull_task_input(self._client)
        return message, TaskIds(int(TaskIdentity.task_id or 0), context.run_id, context.node_id)

    def push(self, reply: Message, context: Context) -> None:
        """Give the reply to the SuperNode, and end the task.

        Raises:
            TaskTakenBack: its run has ended.
        """
        with self._taken_back():
            push_message(self._client, reply, context)
            # Nothing but the reply: neither the state of a context nor an error's text.
            push_task_output(self._client, None, SubStatus.COMPLETED, "")

    def is_alive(self) -> bool:
        """Whether the SuperNode still waits for this task, which this call prolongs."""
        try:
            return bool(self._client.SendTaskHeartbeat(SendTaskHeartbeatRequest()).success)
        except httpx.HTTPError:
            return False

    @contextmanager
    def _taken_back(self) -> Iterator[None]:
        try:
            yield
        except (httpx.HTTPStatusError, ObjectPullError, RunNotRunningException, RuntimeError) as error:
            if self.is_alive():
                raise
            raise TaskTakenBack from error

    @contextmanager
    def heartbeats(self) -> Iterator[None]:
        """Send heartbeats while the work lasts."""
        sender = HeartbeatSender(lambda: self.is_alive() or True)
        sender.start()
        try:
            yield
        finally:
            sender.stop()
            self._client.close()


class TaskSource:
    """The SuperNode on this machine, which gives out the tasks."""

    def __init__(self, address: str, secret: bytes) -> None:
        self._address = address
        methods = frozenset({"/flwr.proto.Runtime/AcquireTask"})
        authentication = SuperExecAuthHttpInterceptor(master_secret=secret, protected_methods=methods)
        self._client = _client(address, "SuperExec", authentication)

    def next_task(self) -> Task | None:
        """The next task, if there is one and the SuperNode answers."""
        request = AcquireTaskRequest(supported_task_types=[TaskType.CLIENT_APP])
        try:
            reply = self._client.AcquireTask(request)
        except httpx.TransportError:
            return None
        return Task(self._address, reply.token) if reply.HasField("task") and reply.token else None


def _client(
    address: str, component: str, authentication: RuntimeTokenHttpInterceptor | SuperExecAuthHttpInterceptor
) -> RuntimeHttpClient:
    return RuntimeHttpClient.from_server_address(
        server_address=address,
        insecure=True,
        root_certificates=None,
        interceptors=[RuntimeVersionHttpInterceptor(component_name=component), authentication],
    )


def to_bytes(message: Message) -> bytes:
    """A message with its content."""
    return bytes(message_to_proto(message).SerializeToString())


def from_bytes(content: bytes) -> Message:
    """The message from :func:`to_bytes`."""
    return message_from_proto(MessageProto.FromString(content))


def message_parts(message: Message) -> list[bytes]:
    """Everything of a message that is sent, as it is sent."""
    return [part.deflate() for part in get_all_nested_objects(message).values()]


@dataclass(frozen=True)
class UnfinishedTask:
    """The task that a worker is at.

    Attributes:
        token: lets its holder answer the message.
        ids: Flower's numbers.
        message: what the server asks.
        again: whether a worker died over it already.
    """

    token: str
    ids: TaskIds
    message: Message
    again: bool = False


@dataclass(frozen=True)
class TaskFiles:
    """The files of the task that the worker is at: none, a task, or a task whose reply is being pushed."""

    folder: Path

    def save(self, task: UnfinishedTask) -> None:
        """Save a task; the short file last, since it makes the task count."""
        write_private(self._message, to_bytes(task.message))
        values = {"token": task.token, "ids": asdict(task.ids), "again": task.again}
        write_private(self._task, json.dumps(values).encode())

    def resume(self) -> UnfinishedTask | None:
        """The task that a worker died over, marked so that it is not tried for ever."""
        try:
            values = json.loads(self._task.read_text("utf-8"))
            message = from_bytes(self._message.read_bytes())
            task = UnfinishedTask(values["token"], TaskIds(**values["ids"]), message, bool(values["again"]))
        except (OSError, ValueError, KeyError, TypeError):
            self.clear()
            return None
        write_private(self._task, json.dumps({**values, "again": True}).encode())
        return task

    def start_push(self) -> None:
        """From now on half a reply may be with the SuperNode, which would wait for the rest for ever."""
        self._task.replace(self._pushing)

    def exist(self) -> bool:
        """Whether there is a task at all."""
        return self._task.exists() or self._pushing.exists()

    def is_pushing(self) -> bool:
        """Whether the reply is being pushed; if the worker died meanwhile, only a new SuperNode helps."""
        return self._pushing.exists()

    def clear(self) -> None:
        """Remove the task."""
        for path in (self._task, self._pushing, self._message):
            path.unlink(missing_ok=True)

    @property
    def _task(self) -> Path:
        return self.folder / "task.json"

    @property
    def _message(self) -> Path:
        return self.folder / "task.message"

    @property
    def _pushing(self) -> Path:
        return self.folder / "pushing.json"
