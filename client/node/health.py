"""The health of the clinic's node: its status in ``status.json``, and the checks of all that a run needs."""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dermafed.client.node.connection import Check, check_connection, check_registration
from dermafed.client.node.home import Home, read_settings, server_address
from dermafed.shared.errors import DermaFedError, SettingsError
from dermafed.shared.storage.atomic_files import write_private
from dermafed.shared.storage.lock import is_locked

READY = "worker ready"
"""What the worker writes to its log once it takes tasks."""

_FILE = "status.json"
_KILLED = "it was killed, or its machine went down. Start it again: fl-client start"

_LITTLE_DISK, _NO_DISK = 5e9, 5e8
_LITTLE_MEMORY, _NO_MEMORY = 4e9, 1.5e9


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """The status of the node.

    Attributes:
        pid: process id of the supervisor.
        running: whether the node runs.
        connected: whether the server answers it.
        worker_ready: whether the worker takes tasks.
        cause: why it is not connected, with the remedy.
        since: when this status began, ISO 8601 in UTC.
    """

    pid: int
    running: bool = True
    connected: bool = False
    worker_ready: bool = False
    cause: str = ""
    since: str = field(default_factory=_now)

    @property
    def ready(self) -> bool:
        """Whether a round could start."""
        return self.running and self.connected and self.worker_ready

    def changed(self, **changes: Any) -> NodeStatus:
        """The status from now on."""
        return replace(self, **changes, since=_now())


def write_status(folder: Path, status: NodeStatus) -> None:
    """Write the status.

    Raises:
        StorageError: the folder cannot be written.
    """
    write_private(folder / _FILE, json.dumps(asdict(status), indent=2).encode())


def read_status(folder: Path) -> NodeStatus | None:
    """The last status, if the node ever ran; it is not running unless a supervisor has locked the folder.

    A process id would not be enough: a container uses the same ones again.
    """
    try:
        status = NodeStatus(**json.loads((folder / _FILE).read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    if status.running and not is_locked(folder):
        return status.changed(running=False, connected=False, worker_ready=False, cause=_KILLED)
    return status


def check_clinic(home: Home) -> Iterator[Check]:
    """Check the clinic's folder, server, data and machine, one after the other."""
    yield _key(home)
    yield from check_server(home)
    yield _data(home)
    yield _disk(home)
    yield _memory()


def check_server(home: Home, *, with_key: bool = True) -> Iterator[Check]:
    """Check the connection to the server, step by step up to the first that fails.

    Args:
        home: the clinic's folder.
        with_key: whether to check that the server accepts the clinic's key.
    """
    try:
        address = server_address(home)
    except DermaFedError as error:
        yield Check("server", "failed", error.what, error.remedy)
        return
    failed = False
    try:
        for check in check_connection(address, home.ca):
            failed |= check.state == "failed"
            yield check
    except SettingsError as error:
        yield Check("proxy", "failed", f"{error.what} ({error.where})", error.remedy)
        return
    if with_key and not failed:
        yield _running(home) if is_locked(home.node) else check_registration(address, home)


def _running(home: Home) -> Check:
    """In place of a call to the server, which accepts one node with a key at a time."""
    status = read_status(home.node)
    if status is not None and status.connected:
        return Check("registration", "ok", "the clinic's node is running and connected")
    cause = status.cause if status is not None else ""
    return Check("registration", "warning", "the clinic's node is running, but not connected", cause)


def _key(home: Home) -> Check:
    missing = [path for path in (home.key, home.secret, home.settings_file) if not path.is_file()]
    if missing:
        return Check("key", "failed", f"{missing[0].name} is missing", "Restore it, or make a new folder")
    if any(path.stat().st_mode & 0o077 for path in (home.key, home.secret)):
        remedy = f"chmod 600 {home.key} {home.secret}; if others had access, make a new key"
        return Check("key", "failed", "other users of this machine can read the key or the secret", remedy)
    return Check("key", "ok", "present, and readable for you only")


def _data(home: Home) -> Check:
    from dermafed.client.node.reviewed import read_reviewed
    from dermafed.shared.imaging.decoding import decode_image, read_bytes
    from dermafed.shared.lesions.readers.loading import load_dataset

    try:
        settings = read_settings(home)
        dataset = load_dataset(settings.data, columns=settings.columns)
        records = (*dataset.records, *read_reviewed(home.reviewed))
        decode_image(read_bytes(records[0].path), where=records[0].path)
    except DermaFedError as error:
        place = f" ({error.where})" if error.where else ""
        return Check("data", "failed", f"{error.what}{place}", error.remedy)
    labels = Counter(record.label for record in records)
    counts = ", ".join(f"{count} {label}" for label, count in sorted(labels.items()))
    if len(labels) < 2:
        return Check("data", "warning", f"one class only: {counts}", "Add images of another class")
    return Check("data", "ok", "; ".join((f"{len(records)} images: {counts}", *dataset.notes)))


def _disk(home: Home) -> Check:
    free = shutil.disk_usage(home.folder).free
    what, remedy = f"{free / 1e9:.1f} GB free", "Free some disk space"
    if free >= _LITTLE_DISK:
        return Check("disk", "ok", what)
    return Check("disk", "failed" if free < _NO_DISK else "warning", what, remedy)


def _memory() -> Check:
    try:
        free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return Check(
            "memory", "warning", "this system does not report its memory", "Make sure that 4 GB are free"
        )
    what, remedy = f"{total / 1e9:.1f} GB, {free / 1e9:.1f} GB of it unused", "Close other programs"
    if total < _NO_MEMORY:
        return Check("memory", "failed", what, "Use a machine with 4 GB or more")
    return Check("memory", "warning", what, remedy) if total < _LITTLE_MEMORY else Check("memory", "ok", what)
