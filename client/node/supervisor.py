"""The clinic's node: keeps Flower's SuperNode and the worker running, and says how they are."""

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

from dermafed.client.node.check import check_server
from dermafed.client.node.child_process import Child
from dermafed.client.node.connection import REFUSED, REFUSED_REMEDY
from dermafed.client.node.flower.supernode import (
    CONNECTED,
    CONNECTION_ERROR,
    DISCONNECTED,
    supernode_arguments,
)
from dermafed.client.node.flower.tasks import TaskFiles
from dermafed.client.node.home import Home, read_settings, server_address
from dermafed.client.node.status import READY, NodeStatus, write_status
from dermafed.shared.process import QUIET
from dermafed.shared.storage.lock import lock_folder

WORKER = ("-m", "dermafed.client.node.worker")

_TICK_SECONDS = 0.2
_WORKER_PATIENCE, _SUPERNODE_PATIENCE = 20.0, 15.0
_SENDING_SECONDS = 3.0  # for the SuperNode to send a last reply: it looks twice a second

Say = Callable[[str], None]


class _Stop(BaseException):
    """A signal to end."""


def run_node(home: Home, say: Say, worker: Sequence[str] = WORKER) -> None:
    """Run the clinic's node until SIGTERM or Ctrl-C.

    Args:
        home: the clinic's folder.
        say: takes a line for whoever watches.
        worker: arguments of Python that start the worker; the folder and an address are added.

    Raises:
        SettingsError: the clinic has not joined, or a node runs in the folder already.
    """
    server_address(home)
    with lock_folder(home.node, patience=1.0), _signals():
        TaskFiles(home.node).clear()  # of a SuperNode that is gone
        node = _Node.of(home, say, worker)
        write_status(home.node, node.status)
        try:
            while True:
                node.look()
                time.sleep(_TICK_SECONDS)
        except _Stop:
            say("stopping")
        finally:
            node.stop()


@dataclass
class _Node:
    """The two processes, and what was said of them last."""

    home: Home
    say: Say
    supernode: Child
    worker: Child
    status: NodeStatus = field(default_factory=lambda: NodeStatus(pid=os.getpid()))

    @classmethod
    def of(cls, home: Home, say: Say, worker: Sequence[str]) -> _Node:
        port = read_settings(home).port or _free_port()
        arguments = supernode_arguments(server_address(home), home.ca, home.key, home.secret, port)
        python = (sys.executable, "-P")
        return cls(
            home,
            say,
            Child(
                (*python, "-m", "dermafed.client.node.flower.supernode", *arguments),
                _environment(home, FLWR_LOG_LEVEL="INFO"),
                home.node / "supernode.log",
            ),
            Child(
                (*python, *worker, str(home.folder), f"127.0.0.1:{port}"),
                # The worker talks to this machine only, which no proxy knows.
                _environment(home, NO_PROXY="127.0.0.1", no_proxy="127.0.0.1"),
                home.node / "worker.log",
            ),
        )

    def look(self) -> None:
        """Start what is due, and tell what has changed."""
        self._look_at_worker()
        self._look_at_supernode()
        self.supernode.start_if_due()
        self.worker.start_if_due()
        self._listen()

    def _listen(self) -> None:
        """Tell what the two processes have said since they were started."""
        ready = self.worker.last_said([READY]) is not None
        if ready != self.status.worker_ready:
            self._tell(worker_ready=ready)
        said = self.supernode.last_said([*CONNECTED, *DISCONNECTED])
        if said is not None and (said in CONNECTED) != self.status.connected:
            self._tell(connected=said in CONNECTED, cause="" if said in CONNECTED else self._cause())

    def stop(self) -> None:
        """End the worker, let its last reply out, end the SuperNode."""
        busy = TaskFiles(self.home.node).exist()
        self.worker.stop(_WORKER_PATIENCE)
        if busy and self.status.connected:
            time.sleep(_SENDING_SECONDS)
        self.supernode.stop(_SUPERNODE_PATIENCE)
        self._tell(running=False, connected=False, worker_ready=False, cause="")

    def _look_at_worker(self) -> None:
        code = self.worker.ended()
        if code is None:
            return
        self._tell(worker_ready=False)
        self.say(f"the worker ended ({_ending(code)}) and is started again; see {self.worker.log}")
        files = TaskFiles(self.home.node)
        if files.is_pushing():
            self.say("the SuperNode is started again too: it has half a reply")
            self.supernode.start_anew()
            files.clear()

    def _look_at_supernode(self) -> None:
        code = self.supernode.ended()
        if code is None:
            return
        TaskFiles(self.home.node).clear()
        refused = self.supernode.has_said(CONNECTION_ERROR)
        cause = self._cause() if refused or code == 0 else f"the SuperNode ended ({_ending(code)})"
        if cause != self.status.cause or self.status.connected:
            self._tell(connected=False, cause=cause)

    def _cause(self) -> str:
        """Why there is no connection, in words."""
        for check in check_server(self.home, with_key=False):
            # A clock that is only a little wrong is enough for the server to refuse a key.
            if check.state == "failed" or (check.name, check.state) == ("clock", "warning"):
                return f"{check.what}. {check.remedy}"
        return f"the server answers, but refuses this clinic's key: {REFUSED}. {REFUSED_REMEDY}"

    def _tell(self, **changes: object) -> None:
        before, self.status = self.status, self.status.changed(**changes)
        write_status(self.home.node, self.status)
        if self.status.ready and not before.ready:
            self.say(f"ready: {read_settings(self.home).clinic} is connected to {server_address(self.home)}")
        elif self.status.cause and self.status.cause != before.cause:
            self.say(f"not connected: {self.status.cause}")


def _environment(home: Home, **changes: str) -> dict[str, str]:
    own = {"FLWR_HOME": str(home.node / "flower"), "PYTHONUNBUFFERED": "1"}
    return {**QUIET, **os.environ, **own, **changes}


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
