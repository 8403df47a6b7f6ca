"""A run's rounds as ``history.jsonl``, a line each. Checkpoints know how many of its bytes are their history.

A round's line is on the disk before its checkpoint is. What a sudden end or a full disk leaves behind the
last checkpoint's lines belongs to no round, and the next line takes its place.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

from dermafed.server.rounds.history import HistoryRow, best_row, row_from_values, row_text
from dermafed.shared.errors import FederationError
from dermafed.shared.storage.atomic_files import append, write_atomically

LINES_FILE = "history.jsonl"


@dataclass(frozen=True, slots=True)
class Lines:
    """The first lines of the file, as a checkpoint has them.

    Attributes:
        rounds: their number.
        size: bytes.
        checksum: CRC-32 of these.
        best: the best round of them; 0 is the start.
    """

    rounds: int = 0
    size: int = 0
    checksum: int = 0
    best: int = 0


def are_lines_of(folder: Path, lines: Lines, history: Sequence[HistoryRow]) -> bool:
    """Whether the file is long enough for these lines, and they are as many as the rounds."""
    return lines.rounds == len(history) and (folder / LINES_FILE).stat().st_size >= lines.size


def add_lines(folder: Path, history: Sequence[HistoryRow], before: Lines) -> Lines:
    """Write the rounds that come after some lines; they are on the disk when this returns.

    Args:
        folder: the run's folder.
        history: all rounds.
        before: the lines that stay; without any the file is written whole. All rounds but the last are in
            its ``best``.

    Returns:
        The lines of all rounds.

    Raises:
        StorageError: they cannot be written; the lines before are untouched.
    """
    path, rows = folder / LINES_FILE, history[before.rounds :]
    data = "".join(f"{row_text(row)}\n" for row in rows).encode()
    if before.size:
        append(path, data, before.size)
    else:
        write_atomically(path, data)
    best = best_row(history[-1:], history[before.best - 1] if before.best else None)
    return Lines(
        len(history),
        before.size + len(data),
        crc32(data, before.checksum),
        best.round if best else 0,
    )


def read_lines(folder: Path, lines: Lines) -> tuple[HistoryRow, ...]:
    """Read the first lines; what comes after them does not matter.

    Raises:
        FederationError: they are not in the file as they were written.
    """
    path = folder / LINES_FILE
    try:
        with path.open("rb") as file:
            data = file.read(lines.size)
        if (len(data), crc32(data)) != (lines.size, lines.checksum):
            raise ValueError("not the lines that were written")
        return tuple(row_from_values(json.loads(line)) for line in data.splitlines())
    except (OSError, ValueError, TypeError) as error:
        raise FederationError(
            "The run's history is damaged or incomplete",
            where=path,
            remedy="Restore the file from your backup, or start the run anew",
        ) from error
