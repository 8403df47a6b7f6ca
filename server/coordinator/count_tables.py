"""The answers to queries of counts, as tables for people: lesions by group, and alerts by clinic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dermafed.server.coordinator.query_answers import QueryAnswers
from dermafed.shared.counts.alert_drift import AlertShare, alert_departures, alert_share
from dermafed.shared.counts.lesion_counts import TABLES, LesionCounts
from dermafed.shared.counts.monthly_counts import Expected, MonthlyCounts
from dermafed.shared.counts.rounding import HIDDEN, STEP, text

FEW = (
    f"Counts are rounded down to multiples of {STEP}. Few: fewer than {STEP}, or of fewer than {STEP} "
    "patients. Hidden: it would show how many these few are; it is about the total less the others. Rows "
    "that are few at every clinic are left out."
)


@dataclass(frozen=True, slots=True)
class CountRow:
    """A row of a table of lesions.

    Attributes:
        name: of the cell.
        least: lesions of all clinics, at least.
        clinics: of each clinic, in words.
    """

    name: str
    least: int
    clinics: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CountTable:
    """A table of lesions: its title, and the rows of which some clinic has more than few."""

    title: str
    rows: Sequence[CountRow]


@dataclass(frozen=True, slots=True)
class DriftLine:
    """A clinic's months.

    Attributes:
        clinic: its name.
        months: each month's name with its counts in words, the latest first; then all together.
        share: of the alerts in all months; ``None`` where they are hidden.
        expected: by the calibration; ``None`` where the model has no alert.
        departures: sentences on how the alerts depart from it.
    """

    clinic: str
    months: Sequence[tuple[str, tuple[str, ...]]]
    share: AlertShare | None
    expected: Expected | None
    departures: Sequence[str]


def lesion_tables(answers: QueryAnswers[LesionCounts]) -> list[CountTable]:
    """The tables of lesions, first that of all; columns are the clinics by name."""
    clinics = [answers.clinics[name] for name in sorted(answers.clinics)]
    alone = [
        _row("lesions", [counts.lesions for counts in clinics]),
        _row("patients", [counts.patients for counts in clinics]),
    ]
    tables = [CountTable("In all", alone)]
    for name, (cells, _) in TABLES.items():
        found = [[int(counts.tables[name][place]) for counts in clinics] for place in range(len(cells))]
        rows = [_row(cell, counts) for cell, counts in zip(cells, found, strict=True) if any(counts)]
        tables.append(CountTable(f"By {name.replace('_', ' ')}", rows))
    return tables


def drift_lines(answers: QueryAnswers[MonthlyCounts]) -> list[DriftLine]:
    """Each clinic's months, those with a departure first."""
    lines = [_line(name, counts) for name, counts in sorted(answers.clinics.items())]
    return sorted(lines, key=lambda line: not line.departures)


def _row(name: str, counts: Sequence[int]) -> CountRow:
    least = sum(STEP if count == HIDDEN else count for count in counts)
    return CountRow(name.replace("_", " "), least, tuple(map(text, counts)))


def _line(clinic: str, counts: MonthlyCounts) -> DriftLine:
    months = [*zip(counts.months, counts.counts, strict=True)][::-1]
    rows = [*months, ("twelve months", counts.totals)]
    return DriftLine(
        clinic,
        [(name, tuple(text(int(count)) for count in row)) for name, row in rows],
        alert_share("in twelve months", int(counts.totals[0]), int(counts.totals[1])),
        counts.expected,
        alert_departures(counts),
    )
