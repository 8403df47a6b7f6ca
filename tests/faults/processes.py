"""Processes that a test starts, watches, ends and kills, each with a log and a folder of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from tests.paths import ROOT

PATIENCE = 400.0  # seconds for what takes twenty on an idle machine
_PAUSE = 0.3

_Found = TypeVar("_Found")


def wait_for(what: Callable[[], _Found], seconds: float = PATIENCE) -> _Found:
    """What is waited for, once it is true; nothing is waited for without end.

    The seconds are those between two looks, so that a machine that slept does not fail a test.
    """
    for _ in range(int(seconds / _PAUSE)):
        if found := what():
            return found
        time.sleep(_PAUSE)
    raise AssertionError("it did not come")


@dataclass
class Processes:
    """Processes by name.

    Attributes:
        folder: holds a log for each, and the folder that it works in, by its name.
        running: those that were started and not ended here.
    """

    folder: Path
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, name: str, *arguments: object, **environment: str) -> None:
        """Start Python with these arguments."""
        assert name not in self.running
        own = {"PYTHONPATH": str(ROOT), "DERMAFED_CACHE": str(self.folder / "cache"), **environment}
        with (self.folder / f"{name}.log").open("wb") as log:
            self.running[name] = subprocess.Popen(
                [sys.executable, *map(str, arguments)], env={**os.environ, **own}, stdout=log, stderr=log
            )

    def log(self, name: str) -> str:
        """What a process has written since it was started last."""
        return (self.folder / f"{name}.log").read_text("utf-8", "replace")

    def kill(self, *names: str) -> None:
        """SIGKILL to these and all their children at once, as when the power goes."""
        for number in [number for name in names for number in self.numbers(name)]:
            os.kill(number, signal.SIGKILL)
        for name in names:
            self.running.pop(name).wait()

    def end(self, *names: str) -> None:
        """SIGTERM, as from a person or from systemd."""
        ending = {name: self.running.pop(name) for name in names}
        for process in ending.values():
            process.terminate()
        for name, process in ending.items():
            assert process.wait(PATIENCE) == 0, self.log(name)

    def numbers(self, name: str, module: str = "") -> list[int]:
        """The processes with a folder, and a module if one is given, on their command lines."""
        folder = str(self.folder / name)
        return [
            number
            for number, arguments in _command_lines()
            if any(argument == folder or argument.startswith(f"{folder}/") for argument in arguments)
            and (not module or module in arguments)
        ]


def _command_lines() -> Iterator[tuple[int, list[str]]]:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            arguments = path.read_bytes().decode("utf-8", "replace").split("\0")
        except OSError:  # it has ended just now
            continue
        yield int(path.parent.name), arguments
