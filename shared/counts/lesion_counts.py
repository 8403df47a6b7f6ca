"""How many lesions a clinic has, as far as it may tell: by diagnosis, age, sex, site and skin type."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dermafed.shared.counts.rounding import (
    FEWEST,
    HIDDEN,
    STEP,
    Ints,
    is_published,
    publish,
    rounded_down,
)
from dermafed.shared.errors import DatasetError, FederationError
from dermafed.shared.lesions.diagnoses import DIAGNOSES, canonical
from dermafed.shared.lesions.lesion_groups import lesion_groups
from dermafed.shared.lesions.record import LesionRecord
from dermafed.shared.lesions.skin_types import SKIN_TYPES, skin_type
from dermafed.shared.metrics.fairness.groups import REGIONS, UNKNOWN, body_site_group, sex
from dermafed.shared.model.metadata import SEXES

LESIONS_OF_PATIENT = STEP
"""Lesions of one patient that are counted: so a patient's part of any number is at most one step."""

_DECADES = tuple(f"{start} to {start + 9}" for start in range(0, 90, 10))
AGES = (*_DECADES, "90 and over")


def age_band(record: LesionRecord) -> str | None:
    """The name in AGES of the patient's age, or ``None``."""
    return None if record.age is None else AGES[min(int(record.age) // 10, len(AGES) - 1)]


def diagnosis(record: LesionRecord) -> str:
    """The name in DIAGNOSES; a label that is none of these never leaves, and is ``other``."""
    name = canonical(record.label)
    return name if name in DIAGNOSES else "other"


TABLES: Mapping[str, tuple[tuple[str, ...], Callable[[LesionRecord], str | None]]] = {
    "diagnosis": (DIAGNOSES, diagnosis),
    "age": ((*AGES, UNKNOWN), age_band),
    "sex": ((*SEXES, UNKNOWN), sex),
    "site": ((*REGIONS, UNKNOWN), body_site_group),
    "skin_type": ((*SKIN_TYPES, UNKNOWN), skin_type),
}
"""The tables that a clinic tells, each with its cells' names and what puts an image in one.

There are these and no others, each over all lesions. Two tables of which one leaves lesions out (those of
men, of one year, with melanoma) would differ by few lesions, and show them.
"""


@dataclass(frozen=True, slots=True, eq=False)
class LesionCounts:
    """A clinic's counts, as they may leave it.

    Attributes:
        lesions: in all, at most LESIONS_OF_PATIENT of a patient; a multiple of STEP.
        patients: likewise; where the data do not say whose a lesion is, it is a patient of its own.
        tables: of each name in TABLES the lesions in its cells by
            :func:`~dermafed.shared.counts.rounding.publish`, int64 (G,).
    """

    lesions: int
    patients: int
    tables: Mapping[str, Ints]

    @classmethod
    def of(cls, records: Sequence[LesionRecord]) -> LesionCounts:
        """What may be told of a clinic's images.

        A lesion with several images has the first that is known of them, in order of their names.

        Raises:
            DatasetError: there are fewer than FEWEST patients, or a total would give a small count away.
        """
        ordered = sorted(records, key=lambda record: record.image_id)
        lesions, patients = _counted(ordered)
        count = len(set(patients))
        if count < FEWEST:
            raise DatasetError(
                f"{count or 'No'} patients have labelled images",
                remedy=f"Nothing is told of fewer than {FEWEST}",
            )
        owners = np.array(patients)
        tables = {name: _table(lesions, owners, name) for name in TABLES}
        return cls(rounded_down(len(lesions)), rounded_down(count), tables)

    def validate(self) -> None:
        """Refuse counts that no clinic may tell.

        Raises:
            FederationError: they are not rounded, of another shape, or contradict each other.
        """
        plausible = FEWEST <= self.patients <= self.lesions <= LESIONS_OF_PATIENT * (self.patients + STEP)
        totals = np.array([self.lesions, self.patients])
        if not (
            plausible and is_published(totals, int(totals.sum())) and self.tables.keys() == TABLES.keys()
        ):
            raise FederationError("the counts of lesions are not plausible")
        for name, shown in self.tables.items():
            if shown.shape != (len(TABLES[name][0]),) or not is_published(shown, self.lesions):
                raise FederationError(f"the counts by {name} may not be told")

    def to_dict(self) -> dict[str, Any]:
        """The counts as JSON types; ``None`` for the hidden one."""
        return {
            "lesions": self.lesions,
            "patients": self.patients,
            "tables": {
                name: {
                    cell: None if count == HIDDEN else int(count)
                    for cell, count in zip(TABLES[name][0], shown, strict=True)
                }
                for name, shown in self.tables.items()
            },
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> LesionCounts:
        """Read what :meth:`to_dict` wrote.

        Raises:
            FederationError: the counts are not those of this version, or not plausible.
        """
        try:
            tables = {
                name: np.array([_number(values["tables"][name][cell]) for cell in cells], np.int64)
                for name, (cells, _) in TABLES.items()
            }
            counts = cls(int(values["lesions"]), int(values["patients"]), tables)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise FederationError(f"these are no counts of lesions: {error}") from error
        counts.validate()
        return counts


def _number(count: int | None) -> int:
    return HIDDEN if count is None else int(count)


def _counted(records: Sequence[LesionRecord]) -> tuple[list[list[LesionRecord]], list[int]]:
    """The images of each lesion that counts, and the number of its patient."""
    lesions: list[list[LesionRecord]] = []
    patients: list[int] = []
    for patient, images in enumerate(lesion_groups(records)):
        own: dict[str, list[LesionRecord]] = {}
        for image in images:
            own.setdefault(records[image].lesion, []).append(records[image])
        kept = list(own.values())[:LESIONS_OF_PATIENT]
        lesions += kept
        patients += [patient] * len(kept)
    return lesions, patients


def _table(lesions: Sequence[Sequence[LesionRecord]], patients: Ints, name: str) -> Ints:
    cells, cell_of = TABLES[name]
    found = [next(filter(None, map(cell_of, images)), UNKNOWN) for images in lesions]
    places = np.array([cells.index(cell) for cell in found])
    counts = np.bincount(places, minlength=len(cells))
    people = [np.unique(patients[places == place]).size for place in range(len(cells))]
    return publish(counts, np.array(people) < STEP)
