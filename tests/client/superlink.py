"""A small server for the clinic's tests: Flower's fleet API over TLS, and messages put in and taken out."""

from __future__ import annotations

import hashlib
import io
import socket
import threading
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
from flwr.app import Message, RecordDict
from flwr.app.message import remove_content_from_message
from flwr.common.constant import NOOP_ACCOUNT_NAME, NOOP_FLWR_AID, SUPERLINK_NODE_ID
from flwr.supercore.constant import TaskType
from flwr.supercore.fab import Fab
from flwr.supercore.inflatable.inflatable_object import (
    get_all_nested_objects,
    get_object_tree,
    iterate_object_tree,
    no_object_id_recompute,
)
from flwr.supercore.inflatable.inflatable_utils import inflate_object_from_contents
from flwr.supercore.task_identity import TaskIdentity

from dermafed.shared.protocol.node_key import to_pem
from tests.client.certificates import Certificate
from tests.stock_superlink import stock_superlink

FAB_TEXT = """\
[project]
name = "dermafed"
version = "1.0.0"
[tool.flwr.app]
publisher = "dermafed"
[tool.flwr.app.components]
serverapp = "server:app"
clientapp = "client:app"
[tool.flwr.app.config]
"""


@dataclass
class SuperLink:
    """The server, within this process."""

    state: Any
    run: int
    address: str
    captured: list[bytes]
    run_ends_at: str = ""  # the call of nodes that is answered that the run is over

    def enrol(self, public_key: str, name: str) -> int:
        """Register a clinic's key; its node's number."""
        pem = to_pem(public_key)
        return int(self.state.create_node(NOOP_FLWR_AID, NOOP_ACCOUNT_NAME, pem, 30.0, name=name))

    def remove(self, node: int) -> None:
        """Revoke a clinic's key."""
        self.state.delete_node(NOOP_FLWR_AID, node)

    def send(self, node: int, kind: str, content: RecordDict, group: str = "") -> str:
        """Send a message; its number."""
        message = Message(content, node, kind, group_id=group)
        message.metadata.__dict__["_run_id"] = self.run
        message.metadata.__dict__["_src_node_id"] = SUPERLINK_NODE_ID
        with no_object_id_recompute():
            message.metadata.__dict__["_message_id"] = message.object_id
            objects, session = get_all_nested_objects(message), self.state.start_session(self.run)
            _, needed = self.state.store_message_and_object_tree(
                remove_content_from_message(message), get_object_tree(message), session
            )
            for number in needed:
                assert self.state.store_object(self.run, session, number, objects[number].deflate())
        return str(message.metadata.message_id)

    def reply(self, message: str, seconds: float = 100) -> Message:
        """The reply to a message; its objects are added to ``captured`` as they came."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for reply in self.state.get_message_res(message_ids={message}, run_id=self.run):
                return reply if reply.has_error() else self._whole(reply)
            time.sleep(0.05)
        raise TimeoutError("no reply")

    def ask(self, node: int, kind: str, content: RecordDict, group: str = "") -> Message:
        """Send a message and wait for its reply."""
        return self.reply(self.send(node, kind, content, group))

    def _whole(self, reply: Message) -> Message:
        number = reply.metadata.message_id
        tree = self.state.object_store.get_object_tree(number)
        contents = {part.object_id: b"" for part in iterate_object_tree(tree)}
        while not all(contents.values()):
            contents = {key: self.state.object_store.get(key) for key in contents}
            time.sleep(0.02)
        self.captured.extend(contents.values())
        return inflate_object_from_contents(number, contents)


@contextmanager
def superlink(folder: Path, certificate: Certificate) -> Iterator[SuperLink]:
    """A server on a free port of this machine, with one run."""
    app = stock_superlink(str(folder / "flower.db"))
    state = app.state.linkstate_factory.state()
    run, task = _run(state)
    link = SuperLink(state, run, "", [])

    async def fleet_only(scope: Any, receive: Any, send: Any) -> None:
        ended = bool(link.run_ends_at) and scope.get("path") == f"/v1/fleet/{link.run_ends_at}"
        if scope["type"] == "http" and scope["path"].startswith("/v1/fleet/") and not ended:
            await app(scope, receive, send)
        elif scope["type"] == "http":
            await send({"type": "http.response.start", "status": 403 if ended else 404, "headers": []})
            await send({"type": "http.response.body", "body": b"{}"})

    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    listening.listen()  # whoever comes before the server runs waits, and is not refused
    config = uvicorn.Config(
        fleet_only,
        lifespan="off",
        log_level="error",
        ssl_certfile=str(certificate.chain),
        ssl_keyfile=str(certificate.key),
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    stop = threading.Event()
    threading.Thread(target=_keep_alive, args=(state, task, stop), daemon=True).start()
    TaskIdentity.task_id, TaskIdentity.run_id, TaskIdentity.node_id = task, run, SUPERLINK_NODE_ID
    try:
        link.address = f"127.0.0.1:{listening.getsockname()[1]}"
        yield link
    finally:
        stop.set()
        server.should_exit = True
        thread.join(5)


def _keep_alive(state: Any, task: int, stop: threading.Event) -> None:
    while not stop.wait(10):
        state.acknowledge_task_heartbeat(task)


def _run(state: Any) -> tuple[int, int]:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        file.writestr("pyproject.toml", FAB_TEXT)
    fab = Fab(hashlib.sha256(content.getvalue()).hexdigest(), content.getvalue(), {})
    state.store_fab(fab)
    federation = state.federation_manager.get_federations(NOOP_FLWR_AID)[0].id
    run = state.create_run(
        "dermafed/dermafed",
        "1.0.0",
        fab.hash_str,
        {},
        federation,
        None,
        NOOP_FLWR_AID,
        TaskType.SERVER_APP,
    )
    (task,) = [task.task_id for task in state.get_tasks() if task.run_id == run]
    assert state.claim_task(task)
    assert state.activate_task(task)
    return int(run), int(task)
