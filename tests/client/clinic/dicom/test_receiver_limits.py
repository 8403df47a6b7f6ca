"""Peers that send too much, too slowly, or something other than DICOM are cut off; the port stays open."""

from __future__ import annotations

import socket
import ssl
import struct
import time
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset

from dermafed.client.clinic.dicom import receiver
from tests.client.clinic.dicom.conftest import Open
from tests.client.clinic.dicom.dicom_node import Node
from tests.client.clinic.dicom.dicom_objects import draw_jpeg, encapsulated, uncompressed
from tests.server.flower.link_side import make_certificates


def test_an_object_beyond_the_limit_ends_the_association_and_the_port_stays_open(
    open_port: Open, node: Node
) -> None:
    sender = open_port(max_object_mib=1)
    large = np.zeros((800, 800, 3), np.uint8)  # 1.8 MiB
    with pytest.raises(ConnectionError):
        sender.store(uncompressed(large))
    assert node.diagnoses == []
    assert sender.store(encapsulated(draw_jpeg())) == 0x0000


def test_more_associations_than_allowed_are_rejected(open_port: Open) -> None:
    sender = open_port(associations=1)
    with sender.associated(), pytest.raises(ConnectionError):
        sender.echo()
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:  # the first one's end takes a moment
        try:
            assert sender.echo() == 0x0000
            return
        except ConnectionError:
            time.sleep(0.1)
    pytest.fail("the port takes no association any more")


@pytest.mark.parametrize(
    "unit",
    [
        struct.pack(">BBL", 1, 0, 0xFFFFFFFF),  # a request of 4 GiB, it says
        struct.pack(">BBL", 4, 0, 0x7FFFFFFF) + b"\0" * 70000,  # data without an association
        b"GET / HTTP/1.1\r\n\r\n",
    ],
)
def test_a_false_length_or_another_protocol_is_disconnected(open_port: Open, unit: bytes) -> None:
    sender = open_port()
    with socket.create_connection(("127.0.0.1", sender.port), timeout=300) as connection:
        connection.sendall(unit)
        answered = b""
        while part := _receive(connection):
            answered += part
        assert set(answered[::10]) <= {7}, "nothing but aborts, of ten bytes each"
    assert sender.echo() == 0x0000


def test_silent_connections_keep_no_device_out(open_port: Open) -> None:
    sender = open_port(associations=2)
    held = [socket.create_connection(("127.0.0.1", sender.port), timeout=30) for _ in range(150)]
    time.sleep(0.5)
    assert sender.echo() == 0x0000
    assert not _receive(held[0]), "the oldest are closed"
    for connection in held:
        connection.close()


def test_a_device_that_is_associated_stays_during_a_flood(open_port: Open) -> None:
    sender = open_port(associations=2)
    with sender.associated() as association:
        held = [socket.create_connection(("127.0.0.1", sender.port), timeout=30) for _ in range(40)]
        assert association.send_c_echo().Status == 0x0000
        for connection in held:
            connection.close()


def test_a_silent_connection_after_the_handshake_ends(
    open_port: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert receiver._ASSOCIATION_SECONDS == 10
    monkeypatch.setattr(receiver, "_ASSOCIATION_SECONDS", 1.0)
    authority, certificate = make_certificates(tmp_path)
    sender = open_port(certificate=certificate.chain, key=certificate.key)
    plain = socket.create_connection(("127.0.0.1", sender.port), timeout=30)
    context = ssl.create_default_context(cafile=str(authority))
    start = time.monotonic()
    with context.wrap_socket(plain, server_hostname="127.0.0.1") as connection:
        assert not _receive(connection)
    assert time.monotonic() - start < 9


def test_a_slow_peer_is_disconnected(open_port: Open) -> None:
    sender = open_port(object_seconds=1)
    start = time.monotonic()
    with socket.create_connection(("127.0.0.1", sender.port), timeout=300) as connection:
        connection.sendall(struct.pack(">BBL", 1, 0, 1000))
        try:
            while time.monotonic() < start + 20:
                connection.sendall(b"\0")
                time.sleep(0.1)
        except OSError:
            pass
    assert time.monotonic() - start < 15


def test_answers_and_logs_name_no_patient(open_port: Open, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(0)
    answer: Dataset = open_port().send(encapsulated(draw_jpeg(), StudyDate="Bärbel", Rows=1))
    assert answer.Status == 0xC000
    for private in ("Beispiel", "Bärbel", "P-0815"):
        assert private not in caplog.text
        assert private not in str(answer)


def _receive(connection: socket.socket) -> bytes:
    try:
        return connection.recv(4096)
    except ConnectionError:
        return b""
