"""Run a child process, start it again when it ends, and read its log."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

_FIRST_DELAY, _LONGEST_DELAY = 1.0, 20.0
_STEADY_SECONDS = 60.0  # a process that lived so long starts again at once
_LARGEST_LOG = 5_000_000


@dataclass
class ChildProcess:
    """A command, its log, and when to start it again.

    Attributes:
        command: program and arguments; its standard input is a pipe that closes when this process dies.
        environment: its environment, in place of this process's.
        log: the file for its output.
    """

    command: Sequence[str]
    environment: Mapping[str, str]
    log: Path
    starts: int = 0
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    _begun: float = 0.0
    _delay: float = 0.0
    _log_start: int = 0
    _log_read: tuple[int, int, str] = (0, 0, "")  # start, end and text

    @property
    def pid(self) -> int | None:
        """Its process id while it runs."""
        return self._process.pid if self._process is not None else None

    def start_if_due(self) -> None:
        """Start it, unless it runs or has to wait."""
        if self._process is not None or time.monotonic() < self._begun + self._delay:
            return
        self._begun, self.starts = time.monotonic(), self.starts + 1
        number = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(number, "ab") as log:
            if log.tell() > _LARGEST_LOG:
                log.truncate(0)
            self._log_start = os.fstat(number).st_size
            # A session of its own, so that Ctrl-C reaches the supervisor only, which ends it in good order.
            self._process = subprocess.Popen(
                self.command,
                env=dict(self.environment),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def exit_code(self) -> int | None:
        """Its exit code, once, if it has ended; it starts again after a delay, a longer one each time."""
        if self._process is None or (code := self._process.poll()) is None:
            return None
        self._close()
        steady = time.monotonic() - self._begun > _STEADY_SECONDS
        self._delay = 0.0 if steady else min(max(2 * self._delay, _FIRST_DELAY), _LONGEST_DELAY)
        self._begun = time.monotonic()
        return code

    def stop(self, patience: float) -> None:
        """Terminate it, and kill it after ``patience`` seconds."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(patience)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._close()

    def restart(self) -> None:
        """End it, to be started again at once."""
        self.stop(patience=5)
        self._delay = 0.0

    def last_logged(self, phrases: Sequence[str]) -> str | None:
        """Which of these phrases its log has last, since it was started; ``None`` while it does not run."""
        if self._process is None:
            return None
        text = self._log_text()
        places = {phrase: text.rfind(phrase) for phrase in phrases}
        last = max(places, key=lambda phrase: places[phrase])
        return last if places[last] >= 0 else None

    def has_logged(self, phrase: str) -> bool:
        """Whether its log has this phrase, since it was started last, even if it has ended."""
        return phrase in self._log_text()

    def _log_text(self) -> str:
        """The log since the start; it is read again only when it has grown."""
        with suppress(OSError):
            end = self.log.stat().st_size
            if self._log_read[:2] != (self._log_start, end):
                with self.log.open("rb") as file:
                    file.seek(self._log_start)
                    text = file.read(max(0, end - self._log_start)).decode("utf-8", "replace")
                self._log_read = self._log_start, end, text
            return self._log_read[2]
        return ""

    def _close(self) -> None:
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
        self._process = None
