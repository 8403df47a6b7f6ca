"""All private names of Flower that the server needs; checked by tests/server/flower/test_private_names.py."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version

from flwr.app import Error, Message
from flwr.app.message import make_message, remove_content_from_message
from flwr.common.constant import (
    HEARTBEAT_DEFAULT_INTERVAL,
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
from flwr.proto.fleet_pb2 import (
    ActivateNodeRequest,
    PullMessagesRequest,
    PullMessagesResponse,
    PushMessagesRequest,
    PushMessagesResponse,
    Reconnect,
)
from flwr.proto.heartbeat_pb2 import SendNodeHeartbeatRequest, SendNodeHeartbeatResponse
from flwr.proto.message_pb2 import (
    ObjectTree,
    PullObjectRequest,
    PullObjectResponse,
    PushObjectRequest,
    PushObjectResponse,
)
from flwr.proto.node_pb2 import NodeInfo
from flwr.server.superlink.linkstate import LinkState
from flwr.server.superlink.linkstate.in_memory_linkstate import InMemoryLinkState
from flwr.supercore.constant import FLEET_HTTP_PUBLIC_KEY_HEADER as PUBLIC_KEY_HEADER
from flwr.supercore.constant import FLEET_HTTP_SIGNATURE_HEADER as SIGNATURE_HEADER
from flwr.supercore.constant import NOOP_FEDERATION_ID, NodeStatus, TaskType
from flwr.supercore.date import now
from flwr.supercore.error import http_error_translator
from flwr.supercore.fab import Fab
from flwr.supercore.inflatable.inflatable_object import (
    _get_computed_object_ids,
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
from flwr.supercore.object_store.in_memory_object_store import InMemoryObjectStore
from flwr.supercore.primitives.asymmetric import bytes_to_public_key, verify_signature
from flwr.supercore.protobuf.constants import PROTOBUF_MEDIA_TYPE
from flwr.supercore.protobuf.translation import PROTOBUF_REQUEST_TYPES, ProtobufTranslationMiddleware
from flwr.supercore.run import Run, RunStatus
from flwr.supercore.task_identity import TaskIdentity
from flwr.superlink.federation import NoOpFederationManager
from flwr.superlink.servicer.fleet import fleet_handlers
from google.protobuf.message import Message as Proto  # type: ignore[import-untyped]


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


def become_task(task_id: int, run_id: int) -> None:
    """Give this process the identity that Flower requires of one that makes messages."""
    TaskIdentity.task_id = task_id
    TaskIdentity.run_id = run_id
    TaskIdentity.node_id = SUPERLINK_NODE_ID


@contextmanager
def hashed_once(known: set[str]) -> Iterator[None]:
    """Within it no object changes, and none is hashed again whose hash is known; new hashes are added."""
    with no_object_id_recompute():
        computed = _get_computed_object_ids()
        computed.update(known)
        yield
        known.update(computed)


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
