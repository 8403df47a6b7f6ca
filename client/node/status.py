"""The status of the clinic's node: ``status.json`` in its folder, written at every change."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dermafed.shared.storage.atomic_files import write_private
from dermafed.shared.storage.lock import is_locked

READY = "worker ready"
"""What the worker writes to its log once it takes tasks."""

_FILE = "status.json"
_KILLED = "it was killed, or its machine went down. Start it again: fl-client start"


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
