"""Groups of images of one lesion or patient, and their stratified assignment to the sides of a split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

import numpy as np

from dermafed.shared.lesions.record import LesionRecord

Stratum = tuple[str, str]
"""Clinic and class; the class is empty for all images of a clinic."""

Assign = Callable[[Sequence[Counter[Stratum]], Sequence[int], Sequence[float]], list[int]]
"""Chooses the side of each group, as :func:`assign_groups` does."""


def draw(seed: int, *names: str) -> int:
    """Draw a number in [0, 2^64) that is fixed by the seed and the names.

    Sorting by such draws shuffles a set in a way that does not depend on the order, or the presence, of the
    other elements: a clinic's split is the same alone and in a federation.
    """
    digest = blake2b("\0".join((str(seed), *names)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big")


def lesion_groups(
    records: Sequence[LesionRecord], files: Sequence[str | None] | None = None
) -> list[list[int]]:
    """Group images that show the same lesion or the same patient, also through others.

    Args:
        records: the images.
        files: of each, a name that it shares with those that are the same image; ``None``: with none.

    Returns:
        The indices of each group's records; groups in order of their first record.
    """
    from scipy.sparse import coo_array  # not above: a server, which has no records, spares 20 MB
    from scipy.sparse.csgraph import connected_components

    known = files or [None] * len(records)
    ids = [_owners(record, file) for record, file in zip(records, known, strict=True)]
    node = {
        owner: len(records) + number
        for number, owner in enumerate(dict.fromkeys(o for os in ids for o in os))
    }
    edges = [(image, node[owner]) for image, owners in enumerate(ids) for owner in owners]
    ends = np.array(edges, dtype=np.int64).reshape(-1, 2).T
    size = len(records) + len(node)
    _, component = connected_components(
        coo_array((np.ones(len(edges)), (ends[0], ends[1])), shape=(size, size))
    )
    groups: dict[int, list[int]] = {}
    for image in range(len(records)):
        groups.setdefault(int(component[image]), []).append(image)
    return list(groups.values())


def _owners(record: LesionRecord, file: str | None) -> list[tuple[str, str]]:
    pairs = (("lesion", record.lesion_id), ("patient", record.patient_id), ("file", file))
    return [(kind, name) for kind, name in pairs if name is not None]


@dataclass(slots=True)
class _Assignment:
    """The groups assigned so far.

    Attributes:
        strata: images of each stratum, by group.
        lacking: images that each side still lacks of each stratum.
        side: the side of each group that has been assigned.
    """

    strata: Sequence[Mapping[Stratum, int]]
    lacking: dict[Stratum, list[float]]
    side: dict[int, int] = field(default_factory=dict)

    def assign(self, group: int, side: int) -> None:
        self.side[group] = side
        for stratum, count in self.strata[group].items():
            self.lacking[stratum][side] -= count

    def neediest(self, group: int, sides: Sequence[int]) -> int:
        """The side that lacks the group's classes most; on a tie, the one that lacks its clinics' images."""

        def need(side: int) -> tuple[float, float]:
            needs = [0.0, 0.0]
            for (clinic, label), count in self.strata[group].items():
                needs[label == ""] += count * self.lacking[clinic, label][side]
            return round(needs[0], 9), round(needs[1], 9)

        return max(sides, key=need)


def assign_groups(
    classes: Sequence[Counter[Stratum]], draws: Sequence[int], fractions: Sequence[float]
) -> list[int]:
    """Choose a side for each group, by class and clinic.

    Every stratum, and every clinic, of at least as many groups as there are sides gets a group on each side,
    as far as groups of several strata allow. The remaining groups follow, the largest first, each to the side
    that lacks its strata most: the rule of iterative stratification (Sechidis et al. 2011).

    scikit-learn's StratifiedGroupKFold, the nearest library function, gives k equal folds: unequal fractions
    need many folds merged. It shuffles only groups of like composition, so that a clinic's split would depend
    on the other clinics, and it may leave a rare stratum out of a side.

    Args:
        classes: images of each stratum (clinic, class), by group.
        draws: a random number for each group, which orders groups of one size.
        fractions: the share of each side; a share of 0 stays empty.

    Returns:
        The side of each group, as an index into ``fractions``.
    """
    strata = [_with_clinics(counts) for counts in classes]
    total: Counter[Stratum] = Counter()
    for counts in strata:
        total.update(counts)
    assignment = _Assignment(
        strata, {stratum: [share * n for share in fractions] for stratum, n in total.items()}
    )
    sides = [side for side, share in enumerate(fractions) if share > 0]
    smallest_first = sorted(range(len(strata)), key=lambda group: (sum(strata[group].values()), draws[group]))
    _reserve(assignment, smallest_first, sides)
    for group in reversed(smallest_first):
        if group not in assignment.side:
            assignment.assign(group, assignment.neediest(group, sides))
    return [assignment.side[group] for group in range(len(strata))]


def assign_alone(
    classes: Sequence[Counter[Stratum]], draws: Sequence[int], fractions: Sequence[float]
) -> list[int]:
    """Choose a side for each group by its draw alone, whatever other groups there are.

    Where sides are filled up by class, one patient more moves many others to another side, and whoever
    protects each patient by noise would have to protect all of these at once.

    Args:
        classes: not used.
        draws: a random number in [0, 2^64) for each group.
        fractions: the share of each side; a share of 0 stays empty.

    Returns:
        The side of each group, as an index into ``fractions``.
    """
    ends = np.cumsum(fractions)
    places = np.array([drawn >> 11 for drawn in draws]) * 2.0**-53  # in [0, 1), exactly
    return [int(side) for side in np.searchsorted(ends, places * ends[-1], side="right")]


def _with_clinics(counts: Counter[Stratum]) -> Counter[Stratum]:
    clinics: Counter[Stratum] = Counter()
    for (clinic, _), count in counts.items():
        clinics[clinic, ""] += count
    return counts + clinics


def _reserve(assignment: _Assignment, order: Sequence[int], sides: Sequence[int]) -> None:
    """Give each side a group of each stratum, the rarest stratum first."""
    groups_of: dict[Stratum, list[int]] = {}
    for group in order:
        for stratum in assignment.strata[group]:
            groups_of.setdefault(stratum, []).append(group)
    for _, groups in sorted(groups_of.items(), key=lambda item: (len(item[1]), item[0])):
        if len(groups) < len(sides):
            continue
        present = {assignment.side[group] for group in groups if group in assignment.side}
        free = [group for group in groups if group not in assignment.side]
        for side, group in zip([side for side in sides if side not in present], free, strict=False):
            assignment.assign(group, side)
