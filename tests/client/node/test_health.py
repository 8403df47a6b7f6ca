"""What ``fl-client check`` finds, against real servers on this machine."""

from __future__ import annotations

import re
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from pathlib import Path
from time import time

import pytest

from dermafed.client.node.connection import Check, check_connection, check_registration
from dermafed.client.node.health import check_clinic
from dermafed.shared.errors import SettingsError
from dermafed.shared.protocol.node_key import read_public_key
from dermafed.shared.storage.lock import lock_folder
from tests.client.certificates import Certificate, certificate
from tests.client.planted_clinic import clinic, data_set, joined
from tests.client.superlink import superlink


@contextmanager
def tls_server(made: Certificate, ahead: float = 0) -> Iterator[str]:
    """A server whose clock is ``ahead`` seconds ahead."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made.chain, made.key)
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        try:
            with context.wrap_socket(listening.accept()[0], server_side=True) as connection:
                connection.recv(1000)
                date = formatdate(time() + ahead, usegmt=True)
                connection.sendall(f"HTTP/1.1 404 N\r\nDate: {date}\r\nContent-Length: 0\r\n\r\n".encode())
        except OSError:
            pass

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    with listening:
        yield f"127.0.0.1:{listening.getsockname()[1]}"
    thread.join(5)


def found(address: str, ca: Path) -> dict[str, Check]:
    return {check.name: check for check in check_connection(address, ca)}


@pytest.mark.parametrize(
    ("ahead", "state", "message"),
    [
        (0, "ok", ""),
        (120, "warning", "1(19|20) s behind"),
        (600, "failed", "(599|600) s behind"),
        (-20, "failed", "2[01] s ahead of"),  # Flower takes no call from more than 5 s in its future
        (-600, "failed", "60[01] s ahead of"),
    ],
)
def test_clocks_are_compared(tmp_path: Path, ahead: float, state: str, message: str) -> None:
    made = certificate(tmp_path)
    with tls_server(made, ahead) as address:
        checks = found(address, made.ca)
    assert [check.state for check in checks.values()] == ["ok", "ok", "ok", state]
    assert re.search(message, checks["clock"].what)


def test_each_bad_certificate_is_named(tmp_path: Path) -> None:
    for name, made, message in (
        ("expired", certificate(tmp_path / "expired", days=(-30, -1)), "has expired"),
        ("early", certificate(tmp_path / "early", days=(1, 30)), "is not valid yet"),
        ("name", certificate(tmp_path / "name", "other.example.org"), "is not for 127.0.0.1"),
    ):
        with tls_server(made) as address:
            check = found(address, made.ca)["tls"]
        assert check.state == "failed", name
        assert message in check.what
        assert check.remedy
    with tls_server(certificate(tmp_path / "one")) as address:
        check = found(address, certificate(tmp_path / "two").ca)["tls"]
    assert "not issued by the pinned authority" in check.what


def test_a_closed_port_and_an_unknown_name(tmp_path: Path) -> None:
    made = certificate(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        closed = f"127.0.0.1:{listening.getsockname()[1]}"
    assert found(closed, made.ca)["tcp"].state == "failed"
    unknown = found("no-such-host.invalid:9443", made.ca)
    assert [check.state for check in unknown.values()] == ["failed"]


def test_a_server_that_does_not_answer_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dermafed.client.node.connection._SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        checks = found(f"127.0.0.1:{listening.getsockname()[1]}", certificate(tmp_path).ca)
    assert "does not answer" in checks["tls"].what
    assert "whether the server runs" in checks["tls"].remedy


def test_the_connection_may_use_a_proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = certificate(tmp_path)
    with tls_server(made) as address, socket.create_server(("127.0.0.1", 0)) as proxy:
        asked: list[bytes] = []

        def forward() -> None:
            inner, outer = proxy.accept()[0], socket.create_connection(address.split(":"))
            asked.append(inner.recv(1000))
            inner.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            back = threading.Thread(target=pump, args=(outer, inner), daemon=True)
            back.start()
            pump(inner, outer)

        threading.Thread(target=forward, daemon=True).start()
        monkeypatch.setenv("https_proxy", f"http://graz:p%40ss@127.0.0.1:{proxy.getsockname()[1]}")
        monkeypatch.setenv("no_proxy", "")
        assert found(address, made.ca)["clock"].state == "ok"
        assert asked[0].startswith(f"CONNECT {address} ".encode())
        assert b"\r\nProxy-Authorization: Basic Z3JhejpwQHNz\r\n" in asked[0]  # base64 of graz:p@ss


def test_a_proxy_that_refuses_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as proxy:

        def refuse() -> None:
            with proxy.accept()[0] as asking:
                asking.recv(1000)
                asking.sendall(b"HTTP/1.1 403 Forbidden\r\n\r\n")

        threading.Thread(target=refuse, daemon=True).start()
        hop = f"127.0.0.1:{proxy.getsockname()[1]}"
        monkeypatch.setenv("https_proxy", hop)
        check = found("derma.example.org:9443", certificate(tmp_path).ca)["tcp"]
    assert check.state == "failed"
    assert f"through the proxy {hop}" in check.what
    assert "CONNECT to derma.example.org:9443" in check.remedy


@pytest.mark.parametrize("named", ["http://graz:p@ss:word", "http://127.0.0.1:99999", "http://[::1"])
def test_a_proxy_without_a_valid_address_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    monkeypatch.setenv("https_proxy", named)
    with pytest.raises(SettingsError, match="proxy") as error:
        found("derma.example.org:9443", certificate(tmp_path).ca)
    assert named not in str(error.value)  # it may contain a password


def test_what_of_the_data_is_left_out_is_told(tmp_path: Path) -> None:
    data = data_set(tmp_path / "data")
    (data / "phone.heic").write_bytes(b"x")
    checks = {check.name: check for check in check_clinic(clinic(tmp_path / "graz", data))}
    assert checks["data"].state == "ok"
    assert "1 left out, images of a kind that is not read: 1 .heic, such as phone.heic" in checks["data"].what


def pump(source: socket.socket, sink: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            sink.sendall(data)
    except OSError:
        pass


def test_a_key_is_known_unknown_or_revoked(tmp_path: Path) -> None:
    home = clinic(tmp_path / "graz", data_set(tmp_path / "data"))
    made = certificate(tmp_path / "trust")
    with superlink(tmp_path, made) as server:
        joined(home, server.address, made.ca)
        # Flower's client waits five seconds; the first answer may take longer on a busy machine.
        for _ in range(5):
            unknown = check_registration(server.address, home)
            if "could not be reached" not in unknown.what:
                break
        assert (unknown.state, "unknown or revoked" in unknown.what) == ("failed", True), unknown.what
        number = server.enrol(read_public_key(home.public_key), "graz")
        checks = {check.name: check for check in check_clinic(home)}
        assert {check.state for name, check in checks.items() if name not in ("disk", "memory")} == {"ok"}
        assert checks["data"].what == "20 images: 10 melanoma, 10 nevus"
        (info,) = server.state.get_node_info(node_ids=[number])
        assert info.status == "offline"  # a check leaves no trace of a node
        server.remove(number)
        assert check_registration(server.address, home).state == "failed"


def test_the_key_of_a_running_node_is_not_reported_as_unknown(tmp_path: Path) -> None:
    home = clinic(tmp_path / "graz", data_set(tmp_path / "data"))
    made = certificate(tmp_path / "trust")
    with superlink(tmp_path, made) as server:
        joined(home, server.address, made.ca)
        number = server.enrol(read_public_key(home.public_key), "graz")
        server.state.activate_node(number, 30.0)
        with lock_folder(home.node):
            checks = {check.name: check for check in check_clinic(home)}
        found = checks["registration"]
        assert (found.state, found.what) == ("warning", "the clinic's node is running, but not connected")
        (info,) = server.state.get_node_info(node_ids=[number])
        assert info.status == "online"  # a check does not disturb it
        twin = check_registration(server.address, home)
        assert (twin.state, "another node with it is connected" in twin.what) == ("failed", True)


def test_what_is_wrong_at_the_clinic_is_named(tmp_path: Path) -> None:
    home = clinic(tmp_path / "graz", tmp_path / "nowhere")
    home.key.chmod(0o644)
    checks = {check.name: check for check in check_clinic(home)}
    assert {name for name, check in checks.items() if check.state == "failed"} == {"key", "server", "data"}
    assert all(check.remedy for check in checks.values() if check.state == "failed")
