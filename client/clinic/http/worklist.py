"""A day's worklist: its rows by risk, what each says of melanoma, its filters; the same rows of a lesion."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from dermafed.client.clinic.answers.melanoma_line import MelanomaLine, melanoma_line
from dermafed.client.clinic.answers.percent import percent, percents_apart
from dermafed.client.clinic.diagnosis.diagnosis import Diagnosis
from dermafed.client.clinic.language.speech import N_
from dermafed.client.clinic.store.impressions import Impression
from dermafed.client.clinic.store.opinions import Opinion
from dermafed.client.clinic.store.store import Store
from dermafed.shared.metrics.decision.lesion_scores import MELANOMA


@dataclass(frozen=True, slots=True)
class Row:
    """A diagnosis in the worklist.

    Attributes:
        diagnosis: of the model.
        opinions: of clinicians that count, oldest first.
        hidden: whether the model's answer is not shown: the clinician's own impression comes first.
        lesion: number of the lesion, if the image was assigned to one.
    """

    diagnosis: Diagnosis
    opinions: tuple[Opinion, ...]
    hidden: bool = False
    lesion: str | None = None

    @property
    def melanoma(self) -> MelanomaLine:
        """What its page says first."""
        return melanoma_line(self.diagnosis)

    @property
    def probability(self) -> float | None:
        """Of melanoma; ``None`` where the model cannot judge the image, or does not know melanoma."""
        return None if self.diagnosis.unreliable else self.diagnosis.probabilities.get(MELANOMA)

    @property
    def shown(self) -> str:
        """The same for people, on the right side of the threshold that it was compared with; or empty."""
        threshold = self.diagnosis.alert_threshold
        if self.probability is None:
            return ""
        if threshold is None or self.diagnosis.alert_score is not None:
            return percent(self.probability)
        return percents_apart(self.probability, threshold)[0]

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
    lesions: Mapping[str, str] | None = None,
) -> Worklist:
    """The worklist of a day.

    Args:
        found: the day's diagnoses.
        opinions: on them, by the diagnosis' id; only those that count are shown.
        shown: name of a filter; any other is ``all``.
        hidden: ids of those whose answer is not shown yet; in the order of `found`, before the others.
        lesions: numbers of lesions, by the diagnosis' id.
    """
    rows = [
        _row(each, opinions.get(each.id, ()), each.id in hidden, (lesions or {}).get(each.id))
        for each in found
    ]
    rows.sort(key=lambda row: row.risk)
    chosen = shown if shown in FILTERS else "all"
    counts = tuple((name, label, sum(map(keep, rows))) for name, (label, keep) in FILTERS.items())
    return Worklist(tuple(filter(FILTERS[chosen][1], rows)), chosen, counts)


def worklist_of_day(store: Store, day: date, shown: str, who: str | None) -> Worklist:
    """The worklist of a day, read from the store.

    Args:
        store: of the clinic.
        day: of the clinic's own clock.
        shown: name of a filter.
        who: the clinician whose own impression comes before an answer; ``None``: all answers are shown.
    """
    found = store.list_day(day)
    opinions, impressions = store.list_opinions_of_day(day), store.list_impressions_of_day(day)
    hidden = {
        each.id
        for each in found
        if not has_seen(who, opinions.get(each.id, ()), impressions.get(each.id, ()))
    }
    return make_worklist(found, opinions, shown, hidden, store.lesions.of_day(day))


def rows_of_lesion(store: Store, lesion: str, who: str | None) -> list[Row]:
    """The images of a lesion, oldest first; `who` as in :func:`worklist_of_day`.

    Raises:
        Refused: there is no such lesion (404).
    """
    rows = []
    for made in store.lesions.images(lesion):
        opinions, impressions = store.list_opinions(made.id), store.list_impressions(made.id)
        rows.append(_row(made, opinions, not has_seen(who, opinions, impressions), lesion))
    return rows


def has_seen(who: str | None, opinions: Iterable[Opinion], impressions: Iterable[Impression]) -> bool:
    """Whether a clinician was shown the model's answer: after an impression of an image, or with an opinion.

    Args:
        who: the clinician, by the name of the token; ``None``: one whose impression does not come first.
        opinions: on the image's diagnosis.
        impressions: of the image.
    """
    return who in {None, *(each.who for each in opinions), *(each.who for each in impressions)}


def _row(made: Diagnosis, opinions: Iterable[Opinion], hidden: bool, lesion: str | None) -> Row:
    return Row(made, tuple(each for each in opinions if each.counts), hidden, lesion)
