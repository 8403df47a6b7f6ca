"""The private names of Flower that the clinic uses, and what it takes them for; ``test_node`` uses all."""

from __future__ import annotations

import inspect
import subprocess
import sys

import httpx
import numpy as np
import pytest
from flwr.app import Message
from flwr.supercore import heartbeat
from flwr.supercore.exit.exit_code import ExitCode
from flwr.supercore.retry import http_retry
from flwr.supernode import fleet_http_connection, start_client_internal
from flwr.supernode.cli import flower_supernode

from dermafed.client.node.flower.contents import content_from_bytes, content_to_bytes
from dermafed.client.node.flower.supernode import (
    _IDLE_SLEEP,
    CONNECTED,
    CONNECTION_ERROR,
    DISCONNECTED,
    patient_retries,
)
from dermafed.client.node.flower.tasks import TaskIds, from_bytes, message_parts, to_bytes
from dermafed.shared.protocol.messages import decode_instruction, encode_instruction


def message() -> Message:
    TaskIds(task=1, run=2, node=1).context()
    return Message(encode_instruction(np.arange(4, dtype=np.float32), 3, {}), 9, "train", group_id="3")


def test_a_message_is_the_same_after_it_was_saved() -> None:
    there = from_bytes(to_bytes(message()))
    np.testing.assert_array_equal(decode_instruction(there.content).weights, [0, 1, 2, 3])
    assert (there.metadata.group_id, there.metadata.dst_node_id) == ("3", 9)


def test_a_content_is_the_same_after_it_was_saved() -> None:
    content = message().content
    assert content_from_bytes(content_to_bytes(content)).object_id == content.object_id
    with pytest.raises(ValueError, match="not the content"):
        content_from_bytes(b"\xff" * 9)


def test_the_parts_that_are_sent_are_the_whole_message() -> None:
    assert b"".join(message_parts(message())).count(np.arange(4, dtype=np.float32).tobytes()) == 1


def test_a_supernode_writes_what_the_supervisor_reads() -> None:
    code = "from flwr.supercore.exit import ExitCode, flwr_exit; flwr_exit({})"
    refused = code.format(int(ExitCode.SUPERNODE_CONNECTION_ERROR))
    output = subprocess.run([sys.executable, "-c", refused], capture_output=True, text=True, timeout=120)
    assert CONNECTION_ERROR in output.stdout + output.stderr
    node, retry = inspect.getsource(start_client_internal), inspect.getsource(http_retry)
    assert f'"{CONNECTED[0]} %s"' in node
    assert CONNECTED[1] in retry
    assert all(phrase in node for phrase in CONNECTED[2:])
    assert DISCONNECTED[0] in retry
    assert node.count(f"time.sleep({_IDLE_SLEEP})") == 1  # the wait that the clinic shortens
    assert callable(flower_supernode)


def test_flower_fetches_and_retries_by_the_names_that_are_replaced() -> None:
    receive = inspect.signature(start_client_internal._pull_and_store_message).parameters
    assert {"pull_object", "confirm_message_received"} <= set(receive)
    node = inspect.getsource(start_client_internal)
    assert node.count("_pull_and_store_message(") == 2  # its definition, and the one call
    assert "pull_object=pull_object,\n" in node  # by keyword
    connection = inspect.getsource(fleet_http_connection.http_request_response)
    assert "= make_simple_http_retry_invoker()" in connection
    wait = "next_interval: float = HEARTBEAT_DEFAULT_INTERVAL - HEARTBEAT_CALL_TIMEOUT"
    assert wait in inspect.getsource(heartbeat.HeartbeatSender)
    assert "heartbeat_interval=HEARTBEAT_DEFAULT_INTERVAL" in connection  # the server's patience is another's
    assert not connection.count("heartbeat.HEARTBEAT")
    assert connection.count("NodeAuthHttpInterceptor(private_key, public_key),") == 1
    # The client is made before its heartbeats, in one thread.
    client, beats = "with FleetHttpClient.from_server_address(", "HeartbeatSender(send_node_heartbeat)"
    assert 0 < connection.index(client) < connection.index(beats)


@pytest.mark.parametrize(
    ("error", "stops"),
    [
        (httpx.ConnectTimeout("_ssl.c:989: The handshake operation timed out"), False),
        (httpx.ConnectError("[SSL: UNEXPECTED_EOF_WHILE_READING] EOF occurred"), False),
        (httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] certificate has expired"), True),
    ],
)
def test_only_a_wrong_certificate_ends_the_retries(error: httpx.TransportError, stops: bool) -> None:
    gives_up = patient_retries().should_giveup
    assert gives_up is not None
    assert gives_up(error) is stops
