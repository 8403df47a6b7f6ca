"""Flower's SuperNode: its arguments, what it prints, and its process (arguments of ``flower-supernode``).

Uses names of Flower that are not public; ``tests/client/node/flower`` checks what is taken for granted.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
from cryptography.hazmat.primitives.serialization import load_ssh_private_key
from flwr.common.constant import HEARTBEAT_CALL_TIMEOUT
from flwr.proto.fleet_pb2 import ActivateNodeRequest, DeactivateNodeRequest
from flwr.supercore.interceptors import RuntimeVersionHttpInterceptor
from flwr.supercore.primitives.asymmetric import public_key_to_bytes
from flwr.supercore.retry import RetryInvoker, make_simple_http_retry_invoker
from flwr.supercore.run import RunNotRunningException
from flwr.supernode.fleet_http_client import FleetHttpClient
from flwr.supernode.node_auth_http_interceptor import NodeAuthHttpInterceptor

from dermafed.client.node.flower.bell import Bell
from dermafed.client.node.flower.polls import BEAT_SECONDS, PollingClient, SparingHeartbeats, current_polls
from dermafed.client.node.flower.session_calls import SessionCalls
from dermafed.shared.process import end_with_parent

CONNECTION_ERROR = "Exit Code: 305"
"""What a SuperNode writes if it ends because it cannot connect; it exits with 1, as for every error."""

CONNECTED = (
    "SuperNode ID:",
    "Connection successful after",
    "Received successfully",
    "Sent successfully",
    "is not in `RUNNING` status",
)
"""What a SuperNode writes when it is connected, or again: not the second, if the server refuses it."""

DISCONNECTED = ("Connection attempt failed",)
"""What a SuperNode writes while it cannot reach its server."""


BELL = "DERMAFED_BELL"
"""The variable that names the :class:`Bell` by which a SuperNode tells the worker of a message."""

_IDLE_SLEEP = 3  # seconds that Flower sleeps after a call that brought nothing; it sleeps less for a reply
_REPLY_SECONDS = 0.05  # between two looks whether the worker has replied


def supernode_arguments(server: str, ca: Path, key: Path, secret: Path, port: int) -> list[str]:
    """The arguments of ``flower-supernode`` for a node whose worker is a process of its own."""
    return [
        *("--superlink", server, "--root-certificates", str(ca)),
        *("--auth-supernode-private-key", str(key), "--superexec-auth-secret-file", str(secret)),
        *("--isolation", "process", "--host", "127.0.0.1", "--port", str(port)),
    ]


def run_supernode() -> None:
    """Run Flower's SuperNode in this process, with the arguments of ``flower-supernode``.

    It calls as :mod:`dermafed.client.node.flower.polls` says; every 3 s would cost a round 3 s. And two
    faults of Flower's are fixed; with each, a message would be lost, or the node would wait for ever.
    """
    from flwr.supernode import start_client_internal
    from flwr.supernode.cli import flower_supernode

    call_sparingly()
    bell = Bell(Path(os.environ[BELL])) if os.environ.get(BELL) else None
    setattr(start_client_internal, "time", SimpleNamespace(sleep=_sleep))  # noqa: B010
    receive = partial(_receive, start_client_internal._pull_and_store_message, bell)
    setattr(start_client_internal, "_pull_and_store_message", receive)  # noqa: B010
    flower_supernode()


def call_sparingly() -> None:
    """Let all connections of this process call as :mod:`dermafed.client.node.flower.polls` says."""
    from flwr.supercore import heartbeat
    from flwr.supernode import fleet_http_connection

    setattr(heartbeat, "HEARTBEAT_DEFAULT_INTERVAL", HEARTBEAT_CALL_TIMEOUT + BEAT_SECONDS)  # noqa: B010
    setattr(fleet_http_connection, "FleetHttpClient", PollingClient)  # noqa: B010
    setattr(fleet_http_connection, "HeartbeatSender", SparingHeartbeats)  # noqa: B010
    setattr(fleet_http_connection, "NodeAuthHttpInterceptor", SessionCalls)  # noqa: B010
    setattr(fleet_http_connection, "make_simple_http_retry_invoker", patient_retries)  # noqa: B010


def _sleep(seconds: float) -> None:
    time.sleep(current_polls().pause() if seconds == _IDLE_SLEEP else min(seconds, _REPLY_SECONDS))


def _receive(receive: Callable[..., int | None], bell: Bell | None, /, **arguments: Any) -> int | None:
    """Flower's receive; a run that ends meanwhile is an ordinary error, after which the task is taken back.

    Flower's own exception leaves the task: a worker waits for it for ever, or its reply is sent in the next
    task's turn, and every later reply one turn late.
    """
    calls = {name: _ending(arguments[name]) for name in ("pull_object", "confirm_message_received")}
    run = receive(**{**arguments, **calls})
    if run is not None and bell is not None:
        bell.ring()
    return run


def _ending(call: Callable[..., Any]) -> Callable[..., Any]:
    def ending(*arguments: Any) -> Any:
        try:
            return call(*arguments)
        except RunNotRunningException as error:
            raise ConnectionError("the run has ended") from error

    return ending


def patient_retries() -> RetryInvoker:
    """Flower's retries; but a connection that times out is tried again, although its error names TLS."""
    invoker = make_simple_http_retry_invoker()
    flowers = invoker.should_giveup

    def gives_up(error: Exception) -> bool:
        if isinstance(error, httpx.TransportError):
            return "certificate" in str(error).lower()
        return bool(flowers and flowers(error))

    invoker.should_giveup = gives_up
    return invoker


def register_once(address: str, ca: Path, key: Path) -> None:
    """Register the clinic's node with the server, and remove it again.

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


if __name__ == "__main__":
    end_with_parent()
    run_supernode()
