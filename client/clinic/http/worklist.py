"""A day's worklist: its rows by risk, what each says of melanoma, and its filters."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from dermafed.client.clinic.answers.melanoma_line import MelanomaLine, melanoma_line
from dermafed.client.clinic.diagnosis.diagnosis import Diagnosis
from dermafed.client.clinic.language.speech import N_
from dermafed.client.clinic.store.opinions import Opinion
from dermafed.shared.metrics.decision.lesion_scores import MELANOMA


@dataclass(frozen=True, slots=True)
class Row:
    """A diagnosis in the worklist.

    Attributes:
        diagnosis: of the model.
        opinions: of clinicians that count, oldest first.
        hidden: whether the model's answer is not shown: the clinician's own impression comes first.
    """

    diagnosis: Diagnosis
    opinions: tuple[Opinion, ...]
    hidden: bool = False

    @property
    def melanoma(self) -> MelanomaLine:
        """What its page says first."""
        return melanoma_line(self.diagnosis)

    @property
    def probability(self) -> float | None:
        """Of melanoma; ``None`` where the model cannot judge the image, or does not know melanoma."""
        return None if self.diagnosis.unreliable else self.diagnosis.probabilities.get(MELANOMA)

    @property
    def risk(self) -> tuple[int, float, str]:
        """Sorts by risk, the highest first.

        Alerts, then what the model leaves open or has no threshold for, then the rest. What is hidden comes
        before all, and its place tells nothing.
        """
        made = self.diagnosis
        if self.hidden:
            return -1, 0.0, ""
        place = 0 if made.alert else 1 if made.undecided or made.alert is None else 2
        probability = made.probabilities.get(MELANOMA, 0.0)
        return place, -(made.alert_score or probability), made.id


FILTERS: Mapping[str, tuple[str, Callable[[Row], bool]]] = {
    "all": (N_("All"), lambda row: True),
    "alert": (N_("Alert"), lambda row: bool(row.diagnosis.alert)),
    "undecided": (N_("Undecided"), lambda row: row.diagnosis.undecided),
    "open": (N_("No opinion yet"), lambda row: not row.opinions),
}
"""The filters by name: what the page calls each in English, and whether it shows a row."""


@dataclass(frozen=True, slots=True)
class Worklist:
    """The diagnoses of a day, by risk.

    Attributes:
        rows: those that the filter shows.
        shown: name of the filter.
        counts: how many rows each filter has: name, what the page calls it in English, number.
    """

    rows: tuple[Row, ...]
    shown: str
    counts: tuple[tuple[str, str, int], ...]


def make_worklist(
    found: Iterable[Diagnosis],
    opinions: Mapping[str, Sequence[Opinion]],
    shown: str = "all",
    hidden: Collection[str] = (),
) -> Worklist:
    """The worklist of a day.

    Args:
        found: the day's diagnoses.
        opinions: on them, by the diagnosis' id; only those that count are shown.
        shown: name of a filter; any other is ``all``.
        hidden: ids of those whose answer is not shown yet; in the order of `found`, before the others.
    """
    rows = [
        Row(each, tuple(one for one in opinions.get(each.id, ()) if one.counts), each.id in hidden)
        for each in found
    ]
    rows.sort(key=lambda row: row.risk)
    chosen = shown if shown in FILTERS else "all"
    counts = tuple((name, label, sum(map(keep, rows))) for name, (label, keep) in FILTERS.items())
    return Worklist(tuple(filter(FILTERS[chosen][1], rows)), chosen, counts)
