"""What the page of counts shows: the last answers to the queries of lesions and of drift."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dermafed.server.coordinator.count_tables import (
    FEW,
    CountTable,
    DriftLine,
    drift_lines,
    lesion_tables,
)
from dermafed.server.coordinator.query_answers import QueryAnswers, load_drift, load_lesions
from dermafed.shared.counts.lesion_counts import LesionCounts
from dermafed.shared.counts.monthly_counts import KINDS, MonthlyCounts


@dataclass(frozen=True, slots=True)
class CountFacts:
    """The page of counts; ``None`` where nobody has asked."""

    lesions: QueryAnswers[LesionCounts] | None
    tables: Sequence[CountTable]
    drift: QueryAnswers[MonthlyCounts] | None
    lines: Sequence[DriftLine]
    few: str = FEW
    kinds: tuple[str, ...] = KINDS


def count_facts(folder: Path) -> CountFacts:
    """Collect it from a federation's folder.

    Raises:
        StorageError: a file of answers cannot be read.
    """
    lesions, drift = load_lesions(folder), load_drift(folder)
    tables = [] if lesions is None else lesion_tables(lesions)
    return CountFacts(lesions, tables, drift, [] if drift is None else drift_lines(drift))
