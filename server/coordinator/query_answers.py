"""The files of answered queries in a federation's folder: what each clinic told, or why it did not."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from dermafed.server.record.queries_table import Query, QueryKind
from dermafed.shared.counts.lesion_counts import LesionCounts
from dermafed.shared.counts.monthly_counts import MonthlyCounts
from dermafed.shared.errors import FederationError, StorageError
from dermafed.shared.storage.atomic_files import make_private_folder, write_private

QUERIES = "queries"
"""The folder in the federation's."""

Counts = TypeVar("Counts", LesionCounts, MonthlyCounts)


@dataclass(frozen=True, slots=True)
class QueryAnswers(Generic[Counts]):
    """The answers to a query.

    Attributes:
        number: the query's.
        asked: time of the request, UTC.
        clinics: the counts by clinic.
        left_out: the other clinics' names, each with the reason.
    """

    number: int
    asked: str
    clinics: Mapping[str, Counts]
    left_out: Mapping[str, str]

    def to_dict(self) -> dict[str, Any]:
        """The answers as JSON types."""
        return {
            "query": self.number,
            "asked": self.asked,
            "clinics": {name: counts.to_dict() for name, counts in sorted(self.clinics.items())},
            "left_out": dict(sorted(self.left_out.items())),
        }


def save_answers(folder: Path, query: Query, answers: QueryAnswers[Any]) -> None:
    """Save the answers to a query in a federation's folder.

    Raises:
        StorageError: they cannot be written.
    """
    make_private_folder(folder / QUERIES)
    write_private(_file(folder, query.number, query.kind), json.dumps(answers.to_dict(), indent=2).encode())


def load_lesions(folder: Path) -> QueryAnswers[LesionCounts] | None:
    """The last answers of the clinics about their lesions; ``None`` if there are none yet."""
    return _load(folder, "lesions", LesionCounts)


def load_drift(folder: Path) -> QueryAnswers[MonthlyCounts] | None:
    """The last answers of the clinics about their months; ``None`` if there are none yet."""
    return _load(folder, "drift", MonthlyCounts)


def _load(folder: Path, kind: QueryKind, counts: type[Counts]) -> QueryAnswers[Counts] | None:
    path = max((folder / QUERIES).glob(f"[0-9]*-{kind}.json"), default=None)
    if path is None:
        return None
    try:
        values = json.loads(path.read_text("utf-8"))
        clinics = {str(name): counts.from_dict(each) for name, each in values["clinics"].items()}
        return QueryAnswers(int(values["query"]), str(values["asked"]), clinics, dict(values["left_out"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, FederationError) as error:
        raise StorageError(
            "The answers cannot be read", where=path, remedy="Remove the file, and ask again: fl-server query"
        ) from error


def _file(folder: Path, number: int, kind: QueryKind) -> Path:
    return folder / QUERIES / f"{number:04d}-{kind}.json"
