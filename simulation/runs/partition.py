"""Divides one data set into the clinics of a federation."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np

from dermafed.shared.errors import DatasetError, SettingsError
from dermafed.shared.lesions.clinical_values import composed, names_none
from dermafed.shared.lesions.lesion_groups import draw, lesion_groups
from dermafed.shared.lesions.readers.image_kinds import names_image
from dermafed.shared.lesions.record import LesionRecord

FEWEST_GROUPS = 10
"""The fewest lesions of a clinic of a Dirichlet partition, where there are enough lesions."""

ALPHA_RANGE = (1e-3, 1e6)

Group = list[LesionRecord]


def partition(records: Sequence[LesionRecord], spec: str, *, seed: int) -> dict[str, list[LesionRecord]]:
    """Divide records into clinics.

    Args:
        records: the data set, labels mapped to classes.
        spec: the name of a column with the clinic; ``iid:N`` for N clinics of equal mix and size; or
            ``dirichlet:N:ALPHA`` for N clinics whose shares of each class are drawn from Dir(ALPHA), the
            label skew of Hsu et al. 2019, drawn by class as in Yurochkin et al. 2019: the smaller ALPHA, the
            more the clinics differ. Lesions and patients stay whole in the two drawn forms.
        seed: seed of the draw, which does not depend on the order of the records.

    Returns:
        The records of each clinic, clinics in order of name, records in order of ``image_id``.

    Raises:
        SettingsError: the specification is malformed, or names no column.
        DatasetError: records without a clinic, or fewer lesions than clinics.
    """
    ordered = sorted(records, key=lambda record: record.image_id)
    kind, _, rest = spec.partition(":")
    if names_column(spec):
        return _by_column(ordered, spec)
    groups = _groups(ordered, seed)
    if kind == "iid":
        clinics = _clinics(rest, spec, groups)
        return _named(groups, [number % clinics for number in range(len(groups))], clinics)
    count, _, alpha = rest.partition(":")
    clinics = _clinics(count, spec, groups)
    return _named(groups, _dirichlet(groups, clinics, _alpha(alpha, spec), seed), clinics)


def names_column(spec: str) -> bool:
    """Whether a specification is the name of a column."""
    return spec.partition(":")[:2] not in (("iid", ":"), ("dirichlet", ":"))


def clinic_of(record: LesionRecord, column: str) -> str:
    """The clinic of a record, or an empty text where it is missing or unknown."""
    text = record.attributes.get(composed(column), "").strip()
    return "" if names_none(text) else text


def _by_column(records: Sequence[LesionRecord], column: str) -> dict[str, list[LesionRecord]]:
    column = composed(column)
    columns = list(dict.fromkeys(name for record in records for name in record.attributes))
    if column not in columns:
        raise SettingsError(
            f"There is no column {column!r} with the clinics",
            where="--clinics",
            remedy=f"Name one of: {', '.join(columns)}; or use iid:N or dirichlet:N:ALPHA",
        )
    clinics: dict[str, list[LesionRecord]] = {}
    for record in records:
        clinics.setdefault(clinic_of(record, column), []).append(record)
    pictures = next((name for name in clinics if names_image(name)), None)
    if pictures is not None:
        raise DatasetError(
            f"the column names images, not clinics, such as {pictures}",
            where=f"column {column}",
            remedy="Name another column by --clinics, or use iid:N or dirichlet:N:ALPHA",
        )
    if "" in clinics:
        raise DatasetError(
            f"{len(clinics[''])} of {len(records)} images have no clinic, such as {clinics[''][0].image_id}",
            where=f"column {column}",
            remedy="Fill the column, or skip bad entries, or use iid:N or dirichlet:N:ALPHA",
        )
    return dict(sorted(clinics.items()))


def _clinics(text: str, spec: str, groups: Sequence[Group]) -> int:
    if not text.isdecimal() or len(text) > 9 or int(text) < 1:
        raise _malformed(spec)
    if int(text) > len(groups):
        raise DatasetError(
            f"{len(groups)} lesions cannot be divided among {text} clinics",
            where="--clinics",
            remedy="Ask for fewer",
        )
    return int(text)


def _alpha(text: str, spec: str) -> float:
    try:
        alpha = float(text)
    except ValueError:
        alpha = math.nan
    if not ALPHA_RANGE[0] <= alpha <= ALPHA_RANGE[1]:
        raise _malformed(spec)
    return alpha


def _malformed(spec: str) -> SettingsError:
    low, high = ALPHA_RANGE
    return SettingsError(
        f"{spec!r} is malformed",
        where="--clinics",
        remedy=f"Write a column, iid:N or dirichlet:N:ALPHA, N of 1 or more, ALPHA from {low:g} to {high:g}",
    )


def _groups(records: Sequence[LesionRecord], seed: int) -> list[Group]:
    """Lesions (or patients) in an order drawn by the seed."""
    groups = [[records[i] for i in group] for group in lesion_groups(records)]
    return sorted(groups, key=lambda group: draw(seed, "partition", group[0].image_id))


def _dirichlet(groups: Sequence[Group], clinics: int, alpha: float, seed: int) -> list[int]:
    """The clinic of each group: the groups of a class are cut where drawn shares of its images end."""
    labels = [_main_label(group) for group in groups]
    clinic_of = [0] * len(groups)
    for label in sorted(set(labels)):
        members = [number for number, own in enumerate(labels) if own == label]
        sizes = np.array([len(groups[number]) for number in members], dtype=np.float64)
        shares = np.random.default_rng(draw(seed, "dirichlet", label)).dirichlet(np.full(clinics, alpha))
        middles = (np.cumsum(sizes) - sizes / 2) / sizes.sum()
        for number, clinic in zip(members, np.searchsorted(np.cumsum(shares)[:-1], middles), strict=True):
            clinic_of[number] = int(clinic)
    return _topped_up(clinic_of, clinics)


def _main_label(group: Group) -> str:
    counts = Counter(record.label for record in group)
    return min(counts, key=lambda label: (-counts[label], label))


def _topped_up(clinic_of: list[int], clinics: int) -> list[int]:
    """Move groups from the richest clinic to those left with fewer than can be split."""
    fewest = min(FEWEST_GROUPS, len(clinic_of) // clinics)
    own = [
        [number for number, clinic in enumerate(clinic_of) if clinic == wanted] for wanted in range(clinics)
    ]
    for clinic in range(clinics):
        while len(own[clinic]) < fewest:
            own[clinic].append(max(own, key=len).pop())
    place = {number: clinic for clinic, numbers in enumerate(own) for number in numbers}
    return [place[number] for number in range(len(clinic_of))]


def _named(groups: Sequence[Group], clinic_of: Sequence[int], clinics: int) -> dict[str, list[LesionRecord]]:
    """Records by clinic, clinics named so that their names sort as their numbers."""
    digits = len(str(clinics))
    result: dict[str, list[LesionRecord]] = {f"clinic_{n:0{digits}d}": [] for n in range(1, clinics + 1)}
    names = list(result)
    for group, clinic in zip(groups, clinic_of, strict=True):
        result[names[clinic]].extend(group)
    return {name: sorted(own, key=lambda record: record.image_id) for name, own in result.items()}
