"""The server process: its checks at the start, its ready message, and its end."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from dermafed.server.coordinator import server_process
from dermafed.server.coordinator.federation_folder import (
    ServerSettings,
    authority_fingerprint,
    load_settings,
    save_settings,
)
from dermafed.server.coordinator.listener import bind
from dermafed.server.coordinator.server_process import Ready, serve
from dermafed.server.record.record_database import Record
from dermafed.shared.errors import InputError, SettingsError
from dermafed.shared.protocol import certificates as authority
from dermafed.shared.protocol.certificates import issue_server_certificate, make_authority
from dermafed.shared.storage.atomic_files import make_private_folder
from dermafed.shared.storage.lock import is_locked, lock_folder
from tests.ports import free_port
from tests.server.coordinator.runs_in_process import LocalLink


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """As ``fl-server init`` makes it."""
    monkeypatch.setattr(server_process, "_LOCK_SECONDS", 0.2)
    federation = tmp_path / "alps"
    make_private_folder(federation)
    make_private_folder(federation / "runs")
    make_authority(federation / "trust", "alps")
    issue_server_certificate(federation / "trust", ("derma.example.org",))
    Record.create(federation / "record.db")
    settings = ServerSettings("alps", ("derma.example.org",), free_port(), free_port(), "127.0.0.1")
    save_settings(federation, settings)
    return federation


@contextmanager
def local_link(folder: Path, settings: ServerSettings) -> Iterator[LocalLink]:
    with socket.create_server((settings.listen, settings.port)):
        yield LocalLink()


def never(ready: Ready) -> None:
    raise AssertionError(ready)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_reports_what_clinics_need_and_ends_on_a_signal(folder: Path, number: int) -> None:
    message: list[Ready] = []
    handler = signal.getsignal(number)

    def ready(what: Ready) -> None:
        message.append(what)
        assert is_locked(folder)
        with pytest.raises(SettingsError, match="Another process works in this folder"):
            serve(folder, never, open_link=local_link)
        # Not a real signal, which ended the worker of pytest-xdist now and then; journeys send one.
        serving = signal.getsignal(number)
        assert callable(serving)
        assert serving is not handler
        serving(number, None)

    serve(folder, ready, open_link=local_link)
    settings = load_settings(folder)
    fingerprint = authority_fingerprint(folder / "trust")
    assert message == [Ready("alps", settings.address, fingerprint, settings.health_port)]
    assert not is_locked(folder)
    assert signal.getsignal(number) is handler


def expire(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(authority, "SERVER_DAYS", -0.5)
    monkeypatch.setattr(authority, "_SLACK", timedelta(days=2))
    issue_server_certificate(folder / "trust", ("derma.example.org",))


DAMAGES: list[tuple[Callable[[Path, pytest.MonkeyPatch], object], str]] = [
    (lambda folder, _: folder.chmod(0o755), r"Others may read this .*chmod go="),
    (lambda folder, _: (folder / "record.db").chmod(0o644), r"Others may read this .*record\.db"),
    (lambda folder, _: (folder / "record.db").unlink(), r"Cannot read: No such file .*record\.db"),
    (lambda folder, _: (folder / "server.toml").unlink(), r"not a federation.s folder .*fl-server init"),
    (lambda folder, _: (folder / "server.toml").write_text("port = "), r"not valid TOML"),
    (lambda folder, _: (folder / "server.toml").write_text('federation = "a"'), "'hosts'"),
    (expire, "server's certificate expired on .*fl-server renew"),
]


@pytest.mark.parametrize(("damage", "message"), DAMAGES)
def test_damage_and_impossible_settings_prevent_the_start(
    folder: Path,
    damage: Callable[[Path, pytest.MonkeyPatch], object],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    damage(folder, monkeypatch)
    with pytest.raises(InputError, match=message):
        serve(folder, never, open_link=local_link)


@pytest.mark.parametrize("which", ["port", "health_port"])
def test_a_port_in_use_is_named(folder: Path, which: str) -> None:
    port = getattr(load_settings(folder), which)
    with (
        socket.create_server(("127.0.0.1", port)),
        pytest.raises(SettingsError, match=f"Port {port} cannot be opened: Address already in use"),
    ):
        serve(folder, never, open_link=local_link)


def test_an_address_that_is_not_this_machines_is_named() -> None:
    with pytest.raises(SettingsError, match=r"192\.0\.2\.1:9"):
        bind("192.0.2.1", 9443)


def test_a_folder_is_locked_by_one_process(tmp_path: Path) -> None:
    assert not is_locked(tmp_path)
    with lock_folder(tmp_path):
        assert is_locked(tmp_path)
    assert not is_locked(tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("port = ", "port = 7", "not a port"),
        ('"derma.example.org"', '"a b"', "not a host"),
        ('"derma.example.org",', "", "The server has no host"),
        ('federation = "alps"', 'federation = "a/b"', "not a valid name for a federation"),
        ("port = ", "porto = ", "porto"),
    ],
)
def test_settings_that_cannot_be_used_are_named(folder: Path, old: str, new: str, message: str) -> None:
    path = folder / "server.toml"
    lines = path.read_text()
    assert old in lines
    path.write_text(lines.replace(old, new, 1).replace("port = 7", "port = 700000"))
    with pytest.raises(SettingsError, match=message) as caught:
        load_settings(folder)
    assert str(path) in caught.value.where
