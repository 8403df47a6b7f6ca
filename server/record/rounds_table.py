"""What each round of a run gave, and what each clinic said to its offer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dermafed.server.record.record_database import Record, now
from dermafed.server.rounds.history import HistoryRow, row_values


@dataclass(frozen=True, slots=True)
class ClinicAnswer:
    """What a clinic said to a run's offer, last.

    Attributes:
        clinic: its name.
        decision: ``approved``, ``waiting`` or ``refused``; or ``silent``.
        reason: why, in words; empty if it joins.
        heard: when, UTC.
    """

    clinic: str
    decision: str
    reason: str
    heard: str


def keep_round(record: Record, run: int, row: HistoryRow) -> None:
    """Keep a finished round's figures; a round that was held twice counts as it was held last."""
    figures = json.dumps(row_values(row), allow_nan=False)
    with record.writing() as db:
        db.execute("INSERT OR REPLACE INTO rounds VALUES (?, ?, ?, ?)", (run, row.round, now(), figures))
        db.execute("UPDATE runs SET rounds_done = ? WHERE number = ?", (row.round, run))


def list_rounds(record: Record, run: int) -> list[dict[str, Any]]:
    """A run's rounds in order: the fields of :class:`HistoryRow`, and when each ended."""
    with record.reading() as db:
        rows = db.execute("SELECT ended, figures FROM rounds WHERE run = ? ORDER BY round", (run,))
        return [{**json.loads(row["figures"]), "ended": row["ended"]} for row in rows]


def keep_answer(record: Record, run: int, clinic: str, decision: str, reason: str) -> None:
    """Keep what a clinic said; only a change is written, so that ``heard`` tells since when."""
    with record.writing() as db:
        db.execute(
            "INSERT INTO answers VALUES (?, ?, ?, ?, ?) ON CONFLICT (run, clinic) DO UPDATE"
            " SET decision = excluded.decision, reason = excluded.reason, heard = excluded.heard"
            " WHERE decision <> excluded.decision OR reason <> excluded.reason",
            (run, clinic, decision, reason, now()),
        )


def list_answers(record: Record, run: int) -> Mapping[str, ClinicAnswer]:
    """What the clinics said to a run's offer, by name."""
    with record.reading() as db:
        rows = db.execute(
            "SELECT clinic, decision, reason, heard FROM answers WHERE run = ? ORDER BY clinic", (run,)
        )
        return {row["clinic"]: ClinicAnswer(**dict(row)) for row in rows}
