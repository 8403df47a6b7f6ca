"""The history of a lesion: its images along the time, and the model's probability of melanoma of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from dermafed.client.clinic.http.worklist import Row


@dataclass(frozen=True, slots=True)
class Moment:
    """An image of a lesion.

    Attributes:
        row: its diagnosis, with the opinions.
        days: since the image before, rounded; ``None`` of the first.
        place: along the time, from 0 (the first image) to 1 (the latest).
    """

    row: Row
    days: int | None
    place: float

    @property
    def probability(self) -> float | None:
        """Of melanoma, where it is shown."""
        return None if self.row.hidden else self.row.probability


@dataclass(frozen=True, slots=True)
class LesionHistory:
    """The images of a lesion, oldest first."""

    moments: tuple[Moment, ...]

    @property
    def steps(self) -> list[tuple[Moment, Moment]]:
        """Neighbours whose probabilities are shown and of one model, so that they can be compared."""
        return [
            (one, other)
            for one, other in pairwise(each for each in self.moments if each.probability is not None)
            if one.row.diagnosis.model == other.row.diagnosis.model
        ]

    @property
    def gravest(self) -> Moment | None:
        """The latest with an alert for melanoma, else the latest of all, whose answer is shown."""
        shown = [each for each in self.moments if not each.row.hidden]
        return next(
            (each for each in reversed(shown) if each.row.diagnosis.alert), shown[-1] if shown else None
        )

    @property
    def several_models(self) -> bool:
        """Whether more than one model, or more than one round of it, made the diagnoses."""
        return len({each.row.diagnosis.model for each in self.moments}) > 1


def lesion_history(rows: Sequence[Row]) -> LesionHistory:
    """The history of a lesion from its rows, oldest first."""
    times = [datetime.fromisoformat(row.diagnosis.time) for row in rows]
    days = [None, *(round((later - time).total_seconds() / 86_400) for time, later in pairwise(times))]
    span = (times[-1] - times[0]).total_seconds() if rows else 0.0
    places = [(time - times[0]).total_seconds() / span if span else 0.0 for time in times]
    return LesionHistory(tuple(map(Moment, rows, days, places)))
