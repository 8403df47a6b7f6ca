"""The tables of rounds and answers: each round's metrics, each clinic's answer to a run's offer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dermafed.server.record.record_database import Record, now
from dermafed.server.rounds.history import HistoryRow, row_from_values, row_values


@dataclass(frozen=True, slots=True)
class ClinicAnswer:
    """A clinic's last answer to a run's offer.

    Attributes:
        clinic: its name.
        decision: ``approved``, ``waiting`` or ``refused``; or ``silent``.
        reason: why it does not join; empty if it joins.
        heard: time of the answer, UTC.
    """

    clinic: str
    decision: str
    reason: str
    heard: str

    @property
    def text(self) -> str:
        """Decision and reason, each once."""
        return self.reason if self.reason.startswith(self.decision) else _joined(self.decision, self.reason)


def save_round(record: Record, run: int, row: HistoryRow) -> None:
    """Save a finished round; a repeated round replaces the earlier one."""
    figures = json.dumps(row_values(row), allow_nan=False)
    with record.writing() as db:
        db.execute("INSERT OR REPLACE INTO rounds VALUES (?, ?, ?, ?)", (run, row.round, now(), figures))
        db.execute("UPDATE runs SET rounds_done = ? WHERE number = ?", (row.round, run))


def list_rounds(record: Record, run: int) -> list[dict[str, Any]]:
    """A run's rounds in order: the fields of :class:`HistoryRow`, and when each ended."""
    with record.reading() as db:
        rows = db.execute("SELECT ended, figures FROM rounds WHERE run = ? ORDER BY round", (run,))
        return [{**json.loads(row["figures"]), "ended": row["ended"]} for row in rows]


def read_rounds(record: Record, run: int) -> list[HistoryRow]:
    """A run's rounds in order."""
    with record.reading() as db:
        rows = db.execute("SELECT figures FROM rounds WHERE run = ? ORDER BY round", (run,))
        return [row_from_values(json.loads(row["figures"])) for row in rows]


def save_answer(record: Record, run: int, clinic: str, decision: str, reason: str) -> None:
    """Save a clinic's answer; only a change is written, so ``heard`` is the time of the last change."""
    with record.writing() as db:
        db.execute(
            "INSERT INTO answers VALUES (?, ?, ?, ?, ?) ON CONFLICT (run, clinic) DO UPDATE"
            " SET decision = excluded.decision, reason = excluded.reason, heard = excluded.heard"
            " WHERE decision <> excluded.decision OR reason <> excluded.reason",
            (run, clinic, decision, reason, now()),
        )


def read_last_round(record: Record, run: int) -> HistoryRow | None:
    """A run's last round; ``None`` before the first."""
    with record.reading() as db:
        query = "SELECT figures FROM rounds WHERE run = ? ORDER BY round DESC LIMIT 1"
        row = db.execute(query, (run,)).fetchone()
        return None if row is None else row_from_values(json.loads(row["figures"]))


def list_answers(record: Record, run: int) -> Mapping[str, ClinicAnswer]:
    """The clinics' answers to a run's offer, by name."""
    with record.reading() as db:
        rows = db.execute(
            "SELECT clinic, decision, reason, heard FROM answers WHERE run = ? ORDER BY clinic", (run,)
        )
        return {row["clinic"]: ClinicAnswer(**dict(row)) for row in rows}


def _joined(decision: str, reason: str) -> str:
    return f"{decision}: {reason}" if reason else decision
