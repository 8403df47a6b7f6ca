"""Run the clinic's node: Flower's SuperNode and the worker, restarted when they end, and their status."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType

from dermafed.client.node.child_process import ChildProcess
from dermafed.client.node.connection import REFUSED, REFUSED_REMEDY
from dermafed.client.node.flower.supernode import (
    BELL,
    CONNECTED,
    CONNECTION_ERROR,
    DISCONNECTED,
    supernode_arguments,
)
from dermafed.client.node.flower.tasks import TaskFiles
from dermafed.client.node.health import READY, NodeStatus, check_server, write_status
from dermafed.client.node.home import Home, read_settings, server_address
from dermafed.client.node.proxy import proxy_for, with_proxy
from dermafed.shared.process import HUGE_PAGES, QUIET
from dermafed.shared.protocol.invitation import split_address
from dermafed.shared.storage.lock import lock_folder

WORKER = ("-m", "dermafed.client.node.worker")

_TICK_SECONDS = 0.2
_WORKER_PATIENCE, _SUPERNODE_PATIENCE = 20.0, 15.0
_SENDING_SECONDS = 3.0  # for the SuperNode to send a last reply: it looks for one every 50 ms


class _Stop(BaseException):
    """A signal asked this process to end."""


def run_node(home: Home, notify: Callable[[str], None], worker: Sequence[str] = WORKER) -> None:
    """Run the clinic's node until SIGTERM or Ctrl-C.

    Args:
        home: the clinic's folder.
        notify: called with each line for the person who watches.
        worker: Python's arguments that start the worker; the folder and an address are added.

    Raises:
        SettingsError: the clinic has not joined, a node runs in the folder, or its proxy cannot be used.
    """
    server_address(home)
    with lock_folder(home.node, patience=1.0), _signals():
        TaskFiles(home.node).clear()  # of a SuperNode that is gone
        node = _Node.of(home, notify, worker)
        write_status(home.node, node.status)
        try:
            while True:
                node.update()
                time.sleep(_TICK_SECONDS)
        except _Stop:
            notify("stopping")
        finally:
            node.stop()


@dataclass
class _Node:
    """The two processes, and their last status."""

    home: Home
    notify: Callable[[str], None]
    supernode: ChildProcess
    worker: ChildProcess
    status: NodeStatus = field(default_factory=lambda: NodeStatus(pid=os.getpid()))

    @classmethod
    def of(cls, home: Home, notify: Callable[[str], None], worker: Sequence[str]) -> _Node:
        port = read_settings(home).port or _free_port()
        server = server_address(home)
        arguments = supernode_arguments(server, home.ca, home.key, home.secret, port)
        python = (sys.executable, "-P")
        return cls(
            home,
            notify,
            ChildProcess(
                (*python, "-m", "dermafed.client.node.flower.supernode", *arguments),
                with_proxy(
                    _environment(home, **{"FLWR_LOG_LEVEL": "INFO", BELL: str(home.bell)}),
                    proxy_for(split_address(server)[0]),
                ),
                home.node / "supernode.log",
            ),
            ChildProcess(
                (*python, *worker, str(home.folder), f"127.0.0.1:{port}"),
                # The worker talks to this machine only, which no proxy knows.
                with_proxy(_environment(home), None),
                home.node / "worker.log",
            ),
        )

    def update(self) -> None:
        """Start what is due, and write what has changed."""
        self._check_worker()
        self._check_supernode()
        self.supernode.start_if_due()
        self.worker.start_if_due()
        self._read_logs()

    def _read_logs(self) -> None:
        """Update the status from what the two processes have logged since they were started."""
        ready = self.worker.last_logged([READY]) is not None
        if ready != self.status.worker_ready:
            self._set_status(worker_ready=ready)
        logged = self.supernode.last_logged([*CONNECTED, *DISCONNECTED])
        if logged is not None and (logged in CONNECTED) != self.status.connected:
            self._set_status(
                connected=logged in CONNECTED, cause="" if logged in CONNECTED else self._cause()
            )

    def stop(self) -> None:
        """End the worker, let its last reply out, end the SuperNode."""
        busy = TaskFiles(self.home.node).exist()
        self.worker.stop(_WORKER_PATIENCE)
        if busy and self.status.connected:
            time.sleep(_SENDING_SECONDS)
        self.supernode.stop(_SUPERNODE_PATIENCE)
        self._set_status(running=False, connected=False, worker_ready=False, cause="")

    def _check_worker(self) -> None:
        code = self.worker.exit_code()
        if code is None:
            return
        self._set_status(worker_ready=False)
        self.notify(f"the worker ended ({_ending(code)}) and is started again; see {self.worker.log}")
        files = TaskFiles(self.home.node)
        if files.is_pushing():
            self.notify("the SuperNode is started again too: it has half a reply")
            self.supernode.restart()
            files.clear()

    def _check_supernode(self) -> None:
        code = self.supernode.exit_code()
        if code is None:
            return
        TaskFiles(self.home.node).clear()
        refused = self.supernode.has_logged(CONNECTION_ERROR)
        cause = self._cause() if refused or code == 0 else f"the SuperNode ended ({_ending(code)})"
        if cause != self.status.cause or self.status.connected:
            self._set_status(connected=False, cause=cause)

    def _cause(self) -> str:
        """Why there is no connection, with the remedy."""
        for check in check_server(self.home, with_key=False):
            # A clock that is only a little wrong is enough for the server to refuse a key.
            if check.state == "failed" or (check.name, check.state) == ("clock", "warning"):
                return f"{check.what}. {check.remedy}"
        return f"the server answers, but refuses this clinic's key: {REFUSED}. {REFUSED_REMEDY}"

    def _set_status(self, **changes: object) -> None:
        before, self.status = self.status, self.status.changed(**changes)
        write_status(self.home.node, self.status)
        if self.status.ready and not before.ready:
            self.notify(
                f"ready: {read_settings(self.home).clinic} is connected to {server_address(self.home)}"
            )
        elif self.status.cause and self.status.cause != before.cause:
            self.notify(f"not connected: {self.status.cause}")


def _environment(home: Home, **changes: str) -> dict[str, str]:
    own = {"FLWR_HOME": str(home.node / "flower"), "PYTHONUNBUFFERED": "1"}
    return {**QUIET, **HUGE_PAGES, **os.environ, **own, **changes}


def _ending(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def _signals() -> Iterator[None]:
    """SIGTERM and SIGINT as an exception, once; a second one does not disturb the ending."""

    def stop(number: int, frame: FrameType | None) -> None:
        for each in (signal.SIGTERM, signal.SIGINT):
            signal.signal(each, signal.SIG_IGN)
        raise _Stop

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
