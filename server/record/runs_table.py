"""The table of runs: what was requested, the progress, and why a run stopped."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from dermafed.server.record.record_database import Record, now
from dermafed.shared.errors import SettingsError


class Status(StrEnum):
    """The status of a run."""

    ASKED = "asked"
    AGREEING = "agreeing"
    RUNNING = "running"
    STOPPING = "stopping"
    PAUSED = "paused"
    STOPPED = "stopped"
    FINISHED = "finished"
    FAILED = "failed"


ACTIVE = (Status.AGREEING, Status.RUNNING, Status.STOPPING)
"""Those of a run that the server executes, or executed when it ended."""

RESUMABLE = (Status.PAUSED, Status.STOPPED, Status.FAILED)
"""Those of a run that ``resume`` continues."""


@dataclass(frozen=True, slots=True)
class Run:
    """A run.

    Attributes:
        number: from 1, in the order of the requests.
        name: unique.
        plan: the text of its plan file.
        plan_path: the path of that file; its weights file may be named relative to it.
        clinics: the names of the clinics that are asked to take part.
        offer: the text that they agree to.
        hash: the hash of that text.
        class_counts: training images of each class over the clinics that joined first; ``None`` before.
        status: its status.
        why: the reason, where the run has stopped.
        asked: time of the request, UTC.
        started: time of its first start, UTC.
        ended: time of its last end, UTC.
        rounds: number of planned rounds.
        rounds_done: number of rounds on disk.
    """

    number: int
    name: str
    plan: str
    plan_path: Path
    clinics: tuple[str, ...]
    offer: str
    hash: str
    class_counts: tuple[int, ...] | None
    status: Status
    why: str
    asked: str
    started: str | None
    ended: str | None
    rounds: int
    rounds_done: int

    @property
    def folder_name(self) -> str:
        """Name of its folder among the federation's runs."""
        return f"{self.number:04d}-{self.name}"


@dataclass(frozen=True, slots=True)
class NewRun:
    """The values of a new run; see :class:`Run`."""

    name: str
    plan: str
    plan_path: Path
    clinics: Sequence[str]
    offer: str
    hash: str
    rounds: int


def add_run(record: Record, run: NewRun) -> int:
    """Add a run, for the server to start; returns its number.

    Raises:
        SettingsError: there is a run of this name.
        StorageError: the record cannot be written.
    """
    values = asdict(run) | {"plan_path": str(run.plan_path), "clinics": json.dumps(list(run.clinics))}
    with record.writing() as db:
        if db.execute("SELECT 1 FROM runs WHERE name = ?", (run.name,)).fetchone():
            raise SettingsError(
                f"There is a run '{run.name}' already",
                where="name",
                remedy="Give the plan another name, or continue the run: fl-server resume",
            )
        added = db.execute(
            "INSERT INTO runs (name, plan, plan_path, clinics, offer, hash, rounds, status, asked)"
            " VALUES (:name, :plan, :plan_path, :clinics, :offer, :hash, :rounds, :status, :asked)",
            values | {"status": Status.ASKED, "asked": now()},
        )
    assert added.lastrowid is not None
    return added.lastrowid


def list_runs(record: Record) -> list[Run]:
    """All runs by number."""
    with record.reading() as db:
        return [_run(row) for row in db.execute("SELECT * FROM runs ORDER BY number")]


def find_run(record: Record, name: str) -> Run:
    """Find a run by its name or number.

    Raises:
        SettingsError: there is no such run.
    """
    with record.reading() as db:
        found = db.execute("SELECT * FROM runs WHERE name = ?", (name,)).fetchone()
        if found is None and name.isascii() and name.isdigit():
            found = db.execute("SELECT * FROM runs WHERE number = ?", (int(name[:18]),)).fetchone()
    if found is None:
        raise SettingsError(
            f"There is no run '{name}'", where=record.path.parent, remedy="See: fl-server runs"
        )
    return _run(found)


def change_status(
    record: Record, number: int, before: Sequence[Status], after: Status, why: str = ""
) -> bool:
    """Change a run's status from one of these to another, unless it has changed meanwhile.

    Returns:
        Whether it was changed; otherwise it has none of the statuses ``before``.
    """
    marks = ", ".join("?" * len(before))
    timestamp = (
        "started = coalesce(started, ?), " if after in ACTIVE else "ended = ?, " if after in _ENDS else ""
    )
    times = [now()] if timestamp else []
    with record.writing() as db:
        changed = db.execute(
            f"UPDATE runs SET {timestamp}status = ?, why = ? WHERE number = ? AND status IN ({marks})",
            (*times, after, why, number, *before),
        )
    return bool(changed.rowcount)


def save_class_counts(record: Record, number: int, class_counts: Sequence[int]) -> None:
    """Save a run's class counts, which stay the same however often it is resumed."""
    with record.writing() as db:
        counts = json.dumps([int(count) for count in class_counts])
        db.execute("UPDATE runs SET class_counts = ? WHERE number = ?", (counts, number))


_ENDS = (Status.PAUSED, Status.STOPPED, Status.FINISHED, Status.FAILED)


def _run(row: sqlite3.Row) -> Run:
    values: dict[str, Any] = dict(row)
    counts = values.pop("class_counts")
    return Run(
        **{
            **values,
            "plan_path": Path(values["plan_path"]),
            "clinics": tuple(json.loads(values["clinics"])),
            "class_counts": None if counts is None else tuple(json.loads(counts)),
            "status": Status(values["status"]),
        }
    )
