"""The answers to queries of counts, as tables for people: lesions by group, and alerts by clinic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dermafed.server.coordinator.query_answers import QueryAnswers
from dermafed.shared.counts.alert_drift import AlertShare, alert_departures, alert_share
from dermafed.shared.counts.lesion_counts import LESIONS_OF_PATIENT, TABLES, LesionCounts
from dermafed.shared.counts.monthly_counts import Expected, MonthlyCounts
from dermafed.shared.counts.rounding import HIDDEN, STEP, text

FEW = (
    f"Counts are rounded down to multiples of {STEP}. Few: fewer than {STEP}, or of fewer than {STEP} "
    "patients. A wide range is of a count that a clinic hides, since it would show how many these few are. "
    "Rows that are few at every clinic are left out."
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
    """The tables of lesions, first that of all; columns are the clinics by name. Without clinics, none."""
    if not answers.clinics:
        return []
    clinics = [answers.clinics[name] for name in sorted(answers.clinics)]
    alone = [
        _row("lesions", [_range(counts.lesions) for counts in clinics]),
        _row("patients", [_range(counts.patients) for counts in clinics]),
    ]
    tables = [CountTable("In all", alone)]
    for name, (cells, _) in TABLES.items():
        by_clinic = [_ranges(counts, name) for counts in clinics]
        by_cell = zip(cells, zip(*by_clinic, strict=True), strict=True)
        rows = [_row(cell, ranges) for cell, ranges in by_cell if any(low for low, _ in ranges)]
        tables.append(CountTable(f"By {name.replace('_', ' ')}", rows))
    return tables


def drift_lines(answers: QueryAnswers[MonthlyCounts]) -> list[DriftLine]:
    """Each clinic's months, those with a departure first."""
    lines = [_line(name, counts) for name, counts in sorted(answers.clinics.items())]
    return sorted(lines, key=lambda line: not line.departures)


def _range(count: int) -> tuple[int, int]:
    """The least and the most that a published count stands for."""
    return count, count + STEP - 1


def _ranges(counts: LesionCounts, table: str) -> list[tuple[int, int]]:
    """The same of each cell of a table; of the hidden one, what the total and the other cells leave."""
    shown = counts.tables[table]
    told, few = shown[shown > 0], int((shown == 0).sum())
    most_of_few = few * (STEP - 1) * LESIONS_OF_PATIENT
    least = counts.lesions - int((told + STEP - 1).sum()) - most_of_few
    hidden = max(STEP, least), counts.lesions + STEP - 1 - int(told.sum())
    return [hidden if count == HIDDEN else _range(int(count)) for count in shown]


def _row(name: str, ranges: Sequence[tuple[int, int]]) -> CountRow:
    texts = tuple(f"{low} to {high}" if low else "few" for low, high in ranges)
    return CountRow(name.replace("_", " "), sum(low for low, _ in ranges), texts)


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
