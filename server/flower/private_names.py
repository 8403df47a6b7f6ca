"""All private names of Flower that the server needs; checked by tests/server/flower/test_private_names.py."""

from __future__ import annotations

import hashlib
import io
import os
import zipfile
from collections.abc import Callable
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path

from fastapi import FastAPI
from flwr.app import Error, Message
from flwr.app.message import make_message, remove_content_from_message
from flwr.common.constant import (
    NOOP_ACCOUNT_NAME,
    NOOP_FLWR_AID,
    SUPERLINK_NODE_ID,
    SYSTEM_TIME_TOLERANCE,
    TIMESTAMP_HEADER,
    TIMESTAMP_TOLERANCE,
    ErrorCode,
    Status,
    SubStatus,
)
from flwr.proto.fleet_pb2 import PushMessagesRequest
from flwr.proto.message_pb2 import ObjectTree, PushObjectRequest
from flwr.proto.node_pb2 import NodeInfo
from flwr.server.superlink.linkstate import LinkState
from flwr.supercore.constant import FLEET_HTTP_PUBLIC_KEY_HEADER as PUBLIC_KEY_HEADER
from flwr.supercore.constant import FLEET_HTTP_SIGNATURE_HEADER as SIGNATURE_HEADER
from flwr.supercore.constant import NOOP_FEDERATION_ID, NodeStatus, TaskType
from flwr.supercore.corestate.sql_corestate import SqlCoreState
from flwr.supercore.date import now
from flwr.supercore.fab import Fab
from flwr.supercore.inflatable.inflatable_object import (
    get_all_nested_objects,
    get_object_id,
    get_object_tree,
    iterate_object_tree,
    no_object_id_recompute,
)
from flwr.supercore.inflatable.inflatable_utils import (
    inflate_object_from_contents,
    validate_object_content,
)
from flwr.supercore.object_store import ObjectStore
from flwr.supercore.object_store.sql_object_store import SqlObjectStore
from flwr.supercore.primitives.asymmetric import bytes_to_public_key, verify_signature
from flwr.supercore.run import Run
from flwr.supercore.sql_mixin import SqlMixin
from flwr.supercore.state.schema.corestate_models import Task
from flwr.supercore.task_identity import TaskIdentity
from flwr.supercore.utils import uint64_to_int64
from flwr.superlink.auth_plugin import NoOpControlAuthnPlugin
from flwr.superlink.cli.flower_superlink import SuperLinkLifespan
from flwr.superlink.config_loader import SuperLinkLifespanConfig
from flwr.superlink.main import create_app
from sqlalchemy import update


def make_superlink(database: Path) -> FastAPI:
    """Flower's SuperLink as an ASGI app that is served nowhere yet, over this database.

    It has every API of Flower; :mod:`dermafed.server.flower.fleet_api` restricts them. Its lifespan, which
    starts processes, is never run.
    """
    config = SuperLinkLifespanConfig(
        control_address="",
        health_server_address=None,
        host="127.0.0.1",
        port=0,
        insecure=True,
        certificates=None,
        superexec_auth_secret=os.urandom(32),
        authn_plugin=NoOpControlAuthnPlugin(),
        event_log_plugin=None,
        fleet_event_log_plugin=None,
        enable_event_log=False,
        artifact_provider=None,
        enable_supernode_auth=True,
        fleet_api_type="grpc-rere",
        fleet_api_address=None,
        simulation=False,
        ssl_ca_certfile=None,
        ssl_certfile=None,
        ssl_keyfile=None,
        database=str(database),
        isolation="process",
        runtime_dependency_install=False,
    )
    return create_app(config, SuperLinkLifespan)


def make_app_bundle() -> Fab:
    """The app bundle that Flower requires of a run: no code, only the names of the installed apps' builders.

    A clinic's node never loads what is named here; it runs the app that is installed there.
    """
    text = f"""\
[project]
name = "dermafed"
version = "{version("dermafed")}"
[tool.flwr.app]
publisher = "dermafed"
[tool.flwr.app.components]
serverapp = "dermafed.server.rounds.server_app:build_server_app"
clientapp = "dermafed.client.node.client_app:build_client_app"
[tool.flwr.app.config]
"""
    bundle = io.BytesIO()
    with zipfile.ZipFile(bundle, "w") as archive:
        # A fixed date, so that the same text has the same hash.
        archive.writestr(zipfile.ZipInfo("pyproject.toml", (1980, 1, 1, 0, 0, 0)), text)
    content = bundle.getvalue()
    return Fab(hashlib.sha256(content).hexdigest(), content, {})


def wrap_object_store(superlink: FastAPI, wrap: Callable[[SqlObjectStore], ObjectStore]) -> None:
    """Let the app, which has made its state already, work on a store over its own."""
    objects, state = superlink.state.linkstate_factory.objectstore_factory, linkstate_of(superlink)
    inner = objects.store()
    if not (isinstance(state, SqlCoreState) and isinstance(inner, SqlObjectStore)):
        raise TypeError(f"{type(state).__name__} has another store of objects")
    state._object_store = objects.store_instance = wrap(inner)


def linkstate_of(superlink: FastAPI) -> LinkState:
    """The state that the app works on: nodes, runs, messages, objects."""
    state: LinkState = superlink.state.linkstate_factory.state()
    return state


def keep_running(state: LinkState, task_id: int) -> None:
    """Keep a task running without heartbeats, which Flower otherwise needs every minute.

    The task is this process itself: it cannot end alone, but it may be suspended, as a virtual machine is
    while it is copied.
    """
    if not isinstance(state, SqlMixin):
        raise TypeError(f"{type(state).__name__} has no tasks in a database")
    with state.session() as session:
        own = Task.task_id == uint64_to_int64(task_id)
        session.execute(update(Task).where(own).values(active_until=now() + timedelta(days=3650)))


def become_task(task_id: int, run_id: int) -> None:
    """Give this process the identity that Flower requires of one that makes messages."""
    TaskIdentity.task_id = task_id
    TaskIdentity.run_id = run_id
    TaskIdentity.node_id = SUPERLINK_NODE_ID


def label(message: Message) -> str:
    """Set a message's id, by which Flower stores it: its hash."""
    message_id: str = message.object_id
    message.metadata.__dict__["_message_id"] = message_id
    return message_id


def inflate(message_id: str, contents: dict[str, bytes]) -> Message:
    """A message from its objects' contents by id, which are used up.

    Raises:
        TypeError: the object is not a message.
    """
    message = inflate_object_from_contents(message_id, contents)
    if not isinstance(message, Message):
        raise TypeError(f"{type(message).__name__} is not a message")
    return message


def error_instead(message: Message, code: int, reason: str) -> Message:
    """An error in place of a message that cannot be read."""
    return make_message(metadata=message.metadata, error=Error(code=code, reason=reason))
