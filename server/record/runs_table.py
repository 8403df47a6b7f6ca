"""The runs of a federation: what was asked, how far it got, and why it stands still."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from dermafed.server.record.record_database import Record, now
from dermafed.shared.errors import SettingsError


class Status(StrEnum):
    """Where a run stands."""

    ASKED = "asked"
    AGREEING = "agreeing"
    RUNNING = "running"
    STOPPING = "stopping"
    PAUSED = "paused"
    STOPPED = "stopped"
    FINISHED = "finished"
    FAILED = "failed"


HELD = (Status.AGREEING, Status.RUNNING, Status.STOPPING)
"""Those of a run that the server holds, or held when it died."""

RESTING = (Status.PAUSED, Status.STOPPED, Status.FAILED)
"""Those that ``resume`` ends."""


@dataclass(frozen=True, slots=True)
class Run:
    """A run.

    Attributes:
        number: from 1, in the order of asking.
        name: unique.
        plan: the text of its plan file.
        plan_path: where that file was; its weights file may be named relative to it.
        clinics: the names of those asked to take part.
        offer: the text that they agree to.
        hash: of that text.
        class_counts: training images of each class over the clinics that joined first; ``None`` before.
        status: where it stands.
        why: the reason, where it rests.
        asked: when, UTC; so with ``started`` and ``ended``.
        started: when the server took it up first.
        ended: when it came to rest last.
        rounds: how many there are to be.
        rounds_done: how many are on disk.
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
        """Of its folder among the federation's runs."""
        return f"{self.number:04d}-{self.name}"


@dataclass(frozen=True, slots=True)
class Asked:
    """What a new run is recorded with; see :class:`Run`."""

    name: str
    plan: str
    plan_path: Path
    clinics: Sequence[str]
    offer: str
    hash: str
    rounds: int


def ask(record: Record, asked: Asked) -> int:
    """Record a new run, for the server to take up; gives its number.

    Raises:
        SettingsError: there is a run of this name.
        StorageError: the record cannot be written.
    """
    with record.writing() as db:
        if db.execute("SELECT 1 FROM runs WHERE name = ?", (asked.name,)).fetchone():
            raise SettingsError(
                f"There is a run '{asked.name}' already",
                where="name",
                remedy="Give the plan another name, or go on with the run: fl-server resume",
            )
        added = db.execute(
            "INSERT INTO runs (name, plan, plan_path, clinics, offer, hash, rounds, status, asked)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                asked.name,
                asked.plan,
                str(asked.plan_path),
                json.dumps(list(asked.clinics)),
                asked.offer,
                asked.hash,
                asked.rounds,
                Status.ASKED,
                now(),
            ),
        )
    assert added.lastrowid is not None
    return added.lastrowid


def list_runs(record: Record) -> list[Run]:
    """All runs by number."""
    with record.reading() as db:
        return [_run(row) for row in db.execute("SELECT * FROM runs ORDER BY number")]


def find_run(record: Record, name: str) -> Run:
    """The run of a number or a name.

    Raises:
        SettingsError: there is none.
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


def move(record: Record, number: int, before: Sequence[Status], after: Status, why: str = "") -> bool:
    """Move a run from one of these statuses to another, unless somebody was quicker.

    Returns:
        Whether it was moved; else it is in none of the statuses ``before``.
    """
    marks = ", ".join("?" * len(before))
    taken_up = (
        "started = coalesce(started, ?), " if after in HELD else "ended = ?, " if after in _ENDS else ""
    )
    times = [now()] if taken_up else []
    with record.writing() as db:
        changed = db.execute(
            f"UPDATE runs SET {taken_up}status = ?, why = ? WHERE number = ? AND status IN ({marks})",
            (*times, after, why, number, *before),
        )
    return bool(changed.rowcount)


def keep_counts(record: Record, number: int, class_counts: Sequence[int]) -> None:
    """Keep a run's class counts, which stay the same however often it is resumed."""
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
