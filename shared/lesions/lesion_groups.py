"""Groups of images that must stay together, and seeded draws that depend on nothing but a name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from dermafed.shared.lesions.record import LesionRecord


def lesion_groups(records: Sequence[LesionRecord]) -> list[list[int]]:
    """Group images that show the same lesion or the same patient, also through others.

    Returns:
        The indices of each group's records; groups in order of their first record.
    """
    ids = [_owners(record) for record in records]
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


def _owners(record: LesionRecord) -> list[tuple[str, str]]:
    pairs = (("lesion", record.lesion_id), ("patient", record.patient_id))
    return [(kind, name) for kind, name in pairs if name is not None]


def draw(seed: int, *names: str) -> int:
    """Draw a number in [0, 2^64) that is fixed by the seed and the names.

    Sorting by such draws shuffles a set in a way that does not depend on the order, or the presence, of the
    other elements: a clinic's split is the same alone and in a federation.
    """
    digest = blake2b("\0".join((str(seed), *names)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big")


Stratum = tuple[str, str]
"""Clinic and class; the class is empty for all images of a clinic."""


@dataclass(slots=True)
class _Deal:
    """Groups dealt so far.

    Attributes:
        strata: images of each stratum, by group.
        lacking: images that each side still lacks of each stratum.
        side: the side of each group that has been dealt.
    """

    strata: Sequence[Mapping[Stratum, int]]
    lacking: dict[Stratum, list[float]]
    side: dict[int, int] = field(default_factory=dict)

    def put(self, group: int, side: int) -> None:
        self.side[group] = side
        for stratum, count in self.strata[group].items():
            self.lacking[stratum][side] -= count

    def neediest(self, group: int, sides: Sequence[int]) -> int:
        """The side that lacks the group's classes most; on a tie, that which lacks images of its clinics."""

        def need(side: int) -> tuple[float, float]:
            needs = [0.0, 0.0]
            for (clinic, label), count in self.strata[group].items():
                needs[label == ""] += count * self.lacking[clinic, label][side]
            return round(needs[0], 9), round(needs[1], 9)

        return max(sides, key=need)


def assign_groups(
    classes: Sequence[Counter[Stratum]], draws: Sequence[int], fractions: Sequence[float]
) -> list[int]:
    """Choose a side for each group.

    Every stratum, and every clinic, of at least as many groups as there are sides gets a group on each side,
    as far as groups of several strata allow; the remaining groups follow, the largest first.

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
    deal = _Deal(strata, {stratum: [share * n for share in fractions] for stratum, n in total.items()})
    sides = [side for side, share in enumerate(fractions) if share > 0]
    smallest_first = sorted(range(len(strata)), key=lambda group: (sum(strata[group].values()), draws[group]))
    _reserve(deal, smallest_first, sides)
    for group in reversed(smallest_first):
        if group not in deal.side:
            deal.put(group, deal.neediest(group, sides))
    return [deal.side[group] for group in range(len(strata))]


def _with_clinics(counts: Counter[Stratum]) -> Counter[Stratum]:
    clinics: Counter[Stratum] = Counter()
    for (clinic, _), count in counts.items():
        clinics[clinic, ""] += count
    return counts + clinics


def _reserve(deal: _Deal, order: Sequence[int], sides: Sequence[int]) -> None:
    """Give each side a group of each stratum, the rarest stratum first."""
    holders: dict[Stratum, list[int]] = {}
    for group in order:
        for stratum in deal.strata[group]:
            holders.setdefault(stratum, []).append(group)
    for _, groups in sorted(holders.items(), key=lambda item: (len(item[1]), item[0])):
        if len(groups) < len(sides):
            continue
        present = {deal.side[group] for group in groups if group in deal.side}
        free = [group for group in groups if group not in deal.side]
        for side, group in zip([side for side in sides if side not in present], free, strict=False):
            deal.put(group, side)
