"""The clinic's audit log: a line for every message that left, each chained to the one before.

A line is JSON with the SHA-256 of the line before it; ``audit.head`` beside the log holds the number of lines
and the SHA-256 of the last one, so that lines cut off at the end are missed too. The log shows changes made
by accident or by others; but anyone who may write both files can replace both.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path

from dermafed.shared.errors import FederationError, StorageError
from dermafed.shared.storage.atomic_files import FILE_MODE, unwritable, write_private

_START = "0" * 64


@dataclass(frozen=True, slots=True)
class Entry:
    """A message that left.

    Attributes:
        run: Flower's number of the run.
        round: the round, or "" before the first.
        kind: the message's type; with a code, if it was an error.
        bytes: length of everything that was sent.
        sha256: SHA-256 of everything that was sent.
    """

    run: int
    round: str
    kind: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the log.

    Attributes:
        time: ISO 8601, UTC.
        entry: the message.
        previous: SHA-256 of the line before.
    """

    time: str
    entry: Entry
    previous: str

    def to_text(self) -> str:
        """The line as JSON, the same text for the same line."""
        values = {"time": self.time, **asdict(self.entry), "previous": self.previous}
        return json.dumps(values, ensure_ascii=False)

    @classmethod
    def from_text(cls, text: str) -> Line:
        """The line from :meth:`to_text`; raises ValueError unless it is exactly such a text."""
        values = json.loads(text)
        try:
            line = cls(
                values["time"], Entry(*(values[field.name] for field in fields(Entry))), values["previous"]
            )
        except (TypeError, KeyError) as error:
            raise ValueError("not a line of the log") from error
        if line.to_text() != text:
            raise ValueError("not written by this program")
        return line


def append_entry(path: Path, entry: Entry) -> None:
    """Append a line, which is on the disk when this returns; one process at a time.

    Raises:
        StorageError: it could not be written; the message must not leave then.
        FederationError: the log was changed.
    """
    count, last = _cut_unfinished(path)
    line = Line(datetime.now(UTC).isoformat(timespec="milliseconds"), entry, last).to_text()
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, FILE_MODE), "ab") as file:
            os.fchmod(file.fileno(), FILE_MODE)  # whatever the umask
            file.write(f"{line}\n".encode())
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise unwritable(error, path) from error
    write_private(_head(path), f"{count + 1} {_digest(line)}\n".encode())


def read_log(path: Path) -> list[Line]:
    """Read and verify the whole log.

    Raises:
        FederationError: a line was changed, removed or moved; the message names the first.
        StorageError: it cannot be read.
    """
    texts, rest = _texts(path)
    count, last = _read_head(path)
    lines, previous = _chained(path, texts)
    # A node that died between the line and the head leaves the head one line behind, or half a line more.
    behind = not rest and len(texts) == count + 1 and lines[-1].previous == last
    if not behind and (len(texts), previous) != (count, last):
        raise _changed(path, f"it has {len(texts)} lines, but {count} were written")
    return lines


def _chained(path: Path, texts: Sequence[str]) -> tuple[list[Line], str]:
    """The lines, and the SHA-256 of the last."""
    lines: list[Line] = []
    previous = _START
    for number, text in enumerate(texts, start=1):
        try:
            line = Line.from_text(text)
        except ValueError as error:
            raise _changed(path, f"line {number}") from error
        if line.previous != previous:
            raise _changed(path, f"line {number} or the one before it")
        lines.append(line)
        previous = _digest(text)
    return lines, previous


def _cut_unfinished(path: Path) -> tuple[int, str]:
    """Number of lines and SHA-256 of the last, after removing the half line of a node that died."""
    texts, rest = _texts(path)
    count, last = _read_head(path)
    if rest and len(texts) == count:
        os.truncate(path, path.stat().st_size - len(rest))
    if len(texts) == count and last == (_digest(texts[-1]) if texts else _START):
        return count, last
    lines = read_log(path)  # one line ahead of its head, or changed
    return len(lines), _digest(lines[-1].to_text())


def _texts(path: Path) -> tuple[list[str], bytes]:
    """The log's lines, and what follows the last line break."""
    try:
        content = path.read_bytes() if path.exists() else b""
    except OSError as error:
        raise StorageError("The log cannot be read", where=path, remedy="Check its permissions") from error
    whole, newline, rest = content.rpartition(b"\n")
    try:
        return (whole.decode().split("\n") if newline else []), rest
    except UnicodeDecodeError as error:
        raise _changed(path, "a line is not text") from error


def _read_head(path: Path) -> tuple[int, str]:
    head = _head(path)
    try:
        text = head.read_text("ascii") if head.exists() else f"0 {_START}\n"
        count, last = text.split()
        if text == f"{int(count)} {last}\n":
            return int(count), last
    except (OSError, ValueError):
        pass
    raise _changed(head, "it is damaged")


def _head(path: Path) -> Path:
    return path.with_suffix(".head")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _changed(path: Path, what: str) -> FederationError:
    return FederationError(
        f"The audit log was changed: {what}",
        where=path,
        remedy="Find out who changed it; to start a new log, move this one and its .head file away",
    )
