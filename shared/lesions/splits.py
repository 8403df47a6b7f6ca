"""Split images into training, validation and test, by lesion and patient, by class, without duplicates."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal

from dermafed.shared.errors import DatasetError, ImageError, SettingsError
from dermafed.shared.imaging.decoding import content_digest
from dermafed.shared.lesions.lesion_groups import (
    Assign,
    Stratum,
    assign_alone,
    assign_groups,
    draw,
    lesion_groups,
)
from dermafed.shared.lesions.record import SIDES, SPLIT_NAMES, LesionRecord, Splits

FRACTIONS = (0.7, 0.1, 0.2)

Kind = Literal["drawn", "even", "given", "held-out", "single"]


def split_clinics(
    clinics: Mapping[str, Sequence[LesionRecord]],
    *,
    seed: int,
    fractions: tuple[float, float, float] = FRACTIONS,
    kind: Kind = "drawn",
) -> dict[str, Splits]:
    """Split each clinic's records on its own, by class, with no lesion or patient on two sides anywhere.

    The result depends on the seed and the records, not on their order; and, but for lesions and patients that
    clinics share, not on the other clinics.

    Args:
        clinics: records by clinic.
        seed: seed of the draw.
        fractions: shares of training, validation and test images; they sum to 1.
        kind: ``drawn``; ``even``: drawn, then each side of each clinic reduced to the same number of images
            of each class that the clinic has (the paper's even split); ``given``: by the records' attribute
            ``split``; ``held-out``: the images that this attribute assigns to validation or test are the
            test, as in a challenge, and the others are drawn into training and validation, except other
            images of the test's lesions and patients; ``single``: each patient, else each lesion, is drawn
            whatever the others are, as differential privacy needs it, and not by class.

    Returns:
        The sides of each clinic, clinics in order of name.

    Raises:
        SettingsError: the fractions are not shares of one.
        DatasetError: a clinic with too few images to split, or a given split that is incomplete or leaks.
    """
    if min(fractions) < 0 or abs(sum(fractions) - 1) > 1e-6:
        raise SettingsError(
            f"split fractions {fractions} are not shares of one", remedy="Give three that sum to 1"
        )
    members = [(clinic, record) for clinic, records in clinics.items() for record in records]
    members.sort(key=lambda member: (member[1].image_id, member[0]))
    side_of = _sides(members, seed, fractions, kind)
    parts: dict[str, list[list[LesionRecord]]] = {clinic: [[], [], []] for clinic in sorted(clinics)}
    for (clinic, record), side in zip(members, side_of, strict=True):
        if side is not None:
            parts[clinic][side].append(record)
    for clinic, sides in parts.items():
        _refuse_empty(clinic, sides, [kind == "given" or share > 0 for share in fractions])
    if kind == "even":
        parts = {clinic: _even(clinic, sides, seed) for clinic, sides in parts.items()}
    return {clinic: Splits(*map(tuple, sides)) for clinic, sides in parts.items()}


def _sides(
    members: Sequence[tuple[str, LesionRecord]], seed: int, fractions: tuple[float, float, float], kind: str
) -> Sequence[int | None]:
    if kind == "held-out":
        return _around_held_out(members, seed, fractions)
    if kind == "given":
        return _given_sides(members)
    return _drawn_sides(members, seed, fractions, assign_alone if kind == "single" else assign_groups)


def _around_held_out(
    members: Sequence[tuple[str, LesionRecord]], seed: int, fractions: tuple[float, float, float]
) -> list[int | None]:
    """The given test stays whole; ``None`` for other images of its lesions and patients."""
    test = [_given_side(record) != 0 for _, record in members]
    groups = lesion_groups([record for _, record in members])
    rest = sorted(i for group in groups if not any(test[i] for i in group) for i in group)
    training = fractions[0] / (fractions[0] + fractions[1])
    drawn = _drawn_sides([members[i] for i in rest], seed, (training, 1 - training, 0))
    sides: list[int | None] = [2 if is_test else None for is_test in test]
    for member, side in zip(rest, drawn, strict=True):
        sides[member] = side
    return sides


def _drawn_sides(
    members: Sequence[tuple[str, LesionRecord]],
    seed: int,
    fractions: tuple[float, float, float],
    assign: Assign = assign_groups,
) -> list[int]:
    groups = lesion_groups([record for _, record in members])
    strata: list[Counter[Stratum]] = [
        Counter((members[i][0], members[i][1].label) for i in group) for group in groups
    ]
    names = [members[group[0]] for group in groups]
    draws = [draw(seed, clinic, record.image_id) for clinic, record in names]
    sides = [0] * len(members)
    for group, side in zip(groups, assign(strata, draws, fractions), strict=True):
        for member in group:
            sides[member] = side
    return sides


def _given_sides(members: Sequence[tuple[str, LesionRecord]]) -> list[int]:
    sides = [_given_side(record) for _, record in members]
    for group in lesion_groups([record for _, record in members]):
        first = group[0]
        for other in group[1:]:
            if sides[other] != sides[first]:
                a, b = members[first][1], members[other][1]
                raise DatasetError(
                    f"{a.image_id} in {SIDES[sides[first]]} and {b.image_id} in {SIDES[sides[other]]} "
                    "of the given split show one lesion or patient",
                    where=f"lesion {b.lesion_id}, patient {b.patient_id}",
                    remedy="Move one, or let DermaFed draw the split",
                )
    return sides


def _given_side(record: LesionRecord) -> int:
    text = next((value for key, value in record.attributes.items() if key.casefold() == "split"), "")
    if text.strip().casefold() not in SPLIT_NAMES:
        raise DatasetError(
            f"the given split of {record.image_id} is {text!r}",
            where="column split",
            remedy="Write train, validation or test, or let DermaFed draw the split",
        )
    return SPLIT_NAMES[text.strip().casefold()]


def _refuse_empty(clinic: str, parts: Sequence[Sequence[LesionRecord]], needed: Sequence[bool]) -> None:
    empty = [name for name, part, need in zip(SIDES, parts, needed, strict=True) if need and not part]
    if empty:
        raise DatasetError(
            f"{clinic} has too few images to split: {sum(map(len, parts))} of them leave no {empty[0]} image",
            where=clinic,
            remedy="Give it images of more lesions (three at least), or leave the clinic out",
        )


def _even(clinic: str, sides: Sequence[Sequence[LesionRecord]], seed: int) -> list[list[LesionRecord]]:
    """In each side, as many images of each class of the clinic as the rarest has there, drawn by seed."""
    labels = sorted({record.label for side in sides for record in side})
    return [_levelled(clinic, name, side, labels, seed) for name, side in zip(SIDES, sides, strict=True)]


def _levelled(
    clinic: str, name: str, side: Sequence[LesionRecord], labels: Sequence[str], seed: int
) -> list[LesionRecord]:
    order = sorted(side, key=lambda record: draw(seed, "even", clinic, record.image_id))
    by_label = {label: [record for record in order if record.label == label] for label in labels}
    rarest = min(labels, key=lambda label: len(by_label[label]))
    if side and not by_label[rarest]:
        raise DatasetError(
            f"{clinic} has no {name} image of {rarest}: an even split is not possible",
            where=clinic,
            remedy="Give it images of three lesions of this class at least, or use the stratified split",
        )
    levelled = [record for label in labels for record in by_label[label][: len(by_label[rarest])]]
    return sorted(levelled, key=lambda record: record.image_id)


def check_no_duplicates(splits: Iterable[Splits]) -> None:
    """Refuse images with the same bytes on two sides, within a clinic or across clinics.

    Only files whose size occurs on two sides are read.

    Args:
        splits: the sides of every clinic.

    Raises:
        DatasetError: two files are the same image; both are named.
        ImageError: a file cannot be read.
    """
    by_size: defaultdict[int, list[tuple[str, Path]]] = defaultdict(list)
    for split in splits:
        for side, records in split.sides().items():
            for record in records:
                by_size[_size(record.path)].append((side, record.path))
    for files in by_size.values():
        if len({side for side, _ in files}) > 1:
            _compare(files)


def without_copies(splits: Splits) -> Splits:
    """Leave out images of training and validation that are, byte for byte, images of the test.

    Args:
        splits: the sides of one clinic.

    Raises:
        ImageError: a file cannot be read.
    """
    sizes = {_size(record.path) for record in splits.test}
    digests = {content_digest(record.path) for record in splits.test}

    def without(records: Sequence[LesionRecord]) -> tuple[LesionRecord, ...]:
        return tuple(
            r for r in records if _size(r.path) not in sizes or content_digest(r.path) not in digests
        )

    return Splits(without(splits.train), without(splits.validation), splits.test)


def _compare(files: Iterable[tuple[str, Path]]) -> None:
    seen: dict[str, tuple[str, Path]] = {}
    for side, path in files:
        first_side, first = seen.setdefault(content_digest(path), (side, path))
        if first_side != side:
            raise DatasetError(
                f"the same image is in {first_side} ({first}) and in {side} ({path})",
                where=path,
                remedy="Remove one, or give both the same lesion_id",
            )


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as error:
        raise ImageError(f"cannot be read: {error.strerror}", where=path, remedy="Check the file") from error
