"""``fl-server start``: the checks, the ready line, and an end in good order."""

from __future__ import annotations

import logging
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from threading import Event
from types import FrameType

from dermafed.server.coordinator.coordinator import Admission, Coordinator
from dermafed.server.coordinator.engine import Agree, Engine
from dermafed.server.coordinator.federation_folder import (
    RECORD,
    RUNS,
    TRUST,
    ServerSettings,
    authority_fingerprint,
    check_server_certificate,
    load_settings,
)
from dermafed.server.coordinator.run_execution import Holder
from dermafed.server.record.record_database import Record
from dermafed.server.rounds.history import check_tensorboard
from dermafed.shared.errors import SettingsError
from dermafed.shared.storage.atomic_files import check_private
from dermafed.shared.storage.lock import lock_folder

log = logging.getLogger("dermafed.server")

OpenEngine = Callable[[Path, ServerSettings], AbstractContextManager[Engine]]
"""Opens a federation's folder to its clinics, for as long as the context lasts."""

_LATE = timedelta(days=30)
_PATIENCE_SECONDS = 2.0


@dataclass(frozen=True)
class Ready:
    """What is told once clinics can connect.

    Attributes:
        federation: its name.
        address: that clinics connect to.
        ca_fingerprint: that they compare.
        health_port: on this machine.
    """

    federation: str
    address: str
    ca_fingerprint: str
    health_port: int


def serve(
    folder: Path,
    open_engine: OpenEngine,
    agree: Agree,
    ready: Callable[[Ready], None],
    tensorboard: Path | None = None,
) -> None:
    """Serve a federation until SIGINT or SIGTERM.

    Args:
        folder: of ``fl-server init``.
        open_engine: opens it to the clinics.
        agree: asks clinics to join a run.
        ready: called once clinics can connect.
        tensorboard: the folder for TensorBoard's files, where they are wanted.

    Raises:
        DermaFedError: the server cannot start; names the reason.
    """
    settings = check_folder(folder)
    if tensorboard is not None:
        check_tensorboard()
    with lock_folder(folder, _PATIENCE_SECONDS):
        for host, port in ((settings.listen, settings.port), ("127.0.0.1", settings.health_port)):
            check_port(host, port)
        record = Record(folder / RECORD)
        with (
            closing_on_signals() as closing,
            record.stay_open(),
            open_engine(folder, settings) as engine,
        ):
            holder = Holder(engine, agree, record, folder / RUNS, tensorboard)
            fingerprint = authority_fingerprint(folder / TRUST)
            ready(Ready(settings.federation, settings.address, fingerprint, settings.health_port))
            Coordinator(Admission(engine, record), holder).serve(closing)
        log.info("The server has ended; runs that were going on go on when it starts again")


def check_folder(folder: Path) -> ServerSettings:
    """The settings of a folder that is whole, ours alone, and whose certificate is good.

    Raises:
        InputError: it is not; names the reason.
    """
    settings = load_settings(folder)
    check_private(folder / RECORD)
    left = check_server_certificate(folder / TRUST)
    if left < _LATE:
        log.warning("The server's certificate expires in %d days; run: fl-server renew", left.days)
    return settings


def check_port(host: str, port: int) -> None:
    """Refuse a port that cannot be opened.

    Raises:
        SettingsError: it is in use, or not this machine's or user's to open.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise SettingsError(
                f"Port {port} cannot be opened: {error.strerror}",
                where=f"{host}:{port}",
                remedy="Stop the program that uses it, or choose another in server.toml",
            ) from error


@contextmanager
def closing_on_signals() -> Iterator[Event]:
    """An event that the first SIGINT or SIGTERM sets; the second one ends the process at once."""
    closing = Event()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def close(number: int, frame: FrameType | None) -> None:
        for each in before:
            signal.signal(each, signal.SIG_DFL)
        closing.set()

    for number in before:
        signal.signal(number, close)
    try:
        yield closing
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
