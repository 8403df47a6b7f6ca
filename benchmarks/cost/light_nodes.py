"""Many nodes in one process, by Flower's own calls of a SuperNode; they accept every run and train nothing.

Arguments: the server's address, its CA, for how many seconds each training takes, and the private key of each
node. A node is a thread here, without a supervisor, a worker, an audit log or a gate: it loads the server,
but does not measure a clinic.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from weakref import WeakValueDictionary

import numpy as np
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_ssh_private_key
from flwr.app import Context, Message, MessageType, RecordDict
from flwr.clientapp import ClientApp
from flwr.proto.message_pb2 import ObjectTree
from flwr.supercore.inflatable.inflatable_object import (
    get_all_nested_objects,
    get_object_tree,
    iterate_object_tree,
    no_object_id_recompute,
)
from flwr.supercore.inflatable.inflatable_utils import inflate_object_from_contents
from flwr.supercore.task_identity import TaskIdentity
from flwr.supernode import fleet_http_connection

from benchmarks.cost.idle_trainer import IdleTrainer
from dermafed.client.node.client_app import build_client_app
from dermafed.client.node.flower.polls import current_polls
from dermafed.client.node.flower.supernode import call_sparingly
from dermafed.client.node.known_models import KnownModels
from dermafed.server.coordinator.process_limits import return_freed_memory
from dermafed.shared.protocol.agreement import OFFER, PREPARE, Answer, Decision, encode_answer, encode_ready
from dermafed.shared.protocol.known_model import KnownModel

_AT_ONCE = 4  # nodes of this process with a message in memory: real ones have machines of their own

_turns = threading.BoundedSemaphore(_AT_ONCE)
_models: WeakValueDictionary[str, KnownModel] = WeakValueDictionary()


def joining_app() -> ClientApp:
    """The clinics' app, which accepts every offer."""
    trainer = IdleTrainer()
    app = build_client_app(lambda context: trainer)

    @app.query(OFFER)
    def offer(message: Message, context: Context) -> Message:
        versions = {name: version(name) for name in ("dermafed", "flwr", "keras")}
        counts = np.full(3, 20, np.int64)
        answer = Answer(Decision.APPROVED, versions=versions, class_counts=counts)
        return Message(encode_answer(answer), reply_to=message)

    @app.query(PREPARE)
    def prepare(message: Message, context: Context) -> Message:
        return Message(encode_ready(0.0), reply_to=message)

    return app


def serve(address: str, ca: Path, key: Path, app: ClientApp, train_seconds: float) -> None:
    """Runs one node without an end."""
    private = load_ssh_private_key(key.read_bytes(), None)
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    keys, models = (private, private.public_key()), KnownModels(_models)
    with fleet_http_connection.http_request_response(address, False, str(ca), keys) as connection:
        node, receive, send, _, _, pull, push, confirm = connection
        while True:
            task = receive()
            if task is None:
                time.sleep(current_polls().pause())
                continue
            run = task[0].metadata.run_id
            with _turns:
                message = received(task, partial(pull, run))
                confirm(run, message.metadata.message_id)
                models.complete(message, run)
                if train_seconds and message.metadata.message_type == MessageType.TRAIN:
                    train(train_seconds)
                reply = app(message, Context(run, node, {}, RecordDict(), {}))
                models.spare(reply, message, run)
                give(reply, send, partial(push, run))
                del message, reply


def train(seconds: float) -> None:
    """Take some seconds, in which another node has the turn."""
    _turns.release()
    time.sleep(seconds)
    _turns.acquire()


def received(task: tuple[Message, ObjectTree], pull: Callable[[str], bytes]) -> Message:
    """The message of a task, whose parts are asked for one after the other: threads would cost more."""
    stub, tree = task
    parts = {part.object_id for part in iterate_object_tree(tree)}
    message = inflate_object_from_contents(stub.metadata.message_id, {part: pull(part) for part in parts})
    assert isinstance(message, Message)
    message.metadata.__dict__["_message_id"] = stub.metadata.message_id
    return message


def give(
    reply: Message,
    send: Callable[[Message, ObjectTree, float], tuple[set[str], str]],
    push: Callable[[str, str, bytes], None],
) -> None:
    """Send a reply, and those of its parts that the server asks for."""
    with no_object_id_recompute():
        reply.metadata.__dict__["_message_id"] = reply.object_id
        missing, session = send(reply, get_object_tree(reply), 0.0)
        for part, content in get_all_nested_objects(reply).items():
            if part in missing:
                push(session, part, content.deflate())


def main(address: str, ca: Path, train_seconds: float, keys: list[Path]) -> None:
    # Flower requires one in a process that makes messages; replies take theirs from the request.
    TaskIdentity.task_id = TaskIdentity.run_id = TaskIdentity.node_id = 1
    call_sparingly()
    return_freed_memory()
    app = joining_app()
    threads = [
        threading.Thread(target=serve, args=(address, ca, key, app, train_seconds), daemon=True)
        for key in keys
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), float(sys.argv[3]), [Path(key) for key in sys.argv[4:]])
