"""Smaller federations of the same data: fewer clinics, or fewer training images; the tests stay."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from dermafed.shared.errors import SettingsError
from dermafed.shared.lesions.lesion_groups import draw, lesion_groups
from dermafed.shared.lesions.record import LesionRecord, Splits


def take_part(splits: Mapping[str, Splits], only: str | None) -> dict[str, Splits]:
    """The clinics that take part.

    Args:
        splits: by clinic.
        only: names separated by commas; ``None``: all.

    Raises:
        SettingsError: there is no such clinic.
    """
    if only is None:
        return dict(splits)
    names = {name.strip() for name in only.split(",")}
    _refuse_unknown(names, splits, "--only")
    return {clinic: own for clinic, own in splits.items() if clinic in names}


def keep_images(splits: Mapping[str, Splits], spec: str | None, *, seed: int) -> dict[str, Splits]:
    """Keeps only so many training images, whole lesions and patients, with the clinic's mix of classes.

    More of them always contain fewer: with the same seed, 100 images are 50 and another 50.

    Args:
        splits: by clinic.
        spec: ``N`` for every clinic or ``CLINIC:N`` for one; ``None``: all images.
        seed: of which images.

    Returns:
        The splits with at most N training images, or one lesion; validation and test as they were.

    Raises:
        SettingsError: the specification is malformed, or there is no such clinic.
    """
    if spec is None:
        return dict(splits)
    clinic, count = parse_train_images(spec)
    names = set(splits) if clinic is None else {clinic}
    _refuse_unknown(names, splits, "--train-images")
    return {
        name: replace(own, train=_fewer(own.train, count, seed)) if name in names else own
        for name, own in splits.items()
    }


def parse_train_images(spec: str) -> tuple[str | None, int]:
    """The clinic, ``None`` for every one, and the number of ``N`` or ``CLINIC:N``.

    Raises:
        SettingsError: it is neither.
    """
    clinic, colon, number = spec.rpartition(":")
    if not number.isdecimal() or len(number) > 9 or int(number) < 1 or bool(colon) != bool(clinic):
        raise SettingsError(
            f"{spec!r} is no number of images",
            where="--train-images",
            remedy="Write N or CLINIC:N, N of 1 or more",
        )
    return clinic or None, int(number)


def _fewer(records: Sequence[LesionRecord], count: int, seed: int) -> tuple[LesionRecord, ...]:
    kept: list[LesionRecord] = []
    for group in _mixed([[records[i] for i in group] for group in lesion_groups(records)], seed):
        if kept and len(kept) + len(group) > count:
            break  # and not the next smaller one, or fewer images would not lie within more
        kept += group
    return tuple(sorted(kept, key=lambda record: record.image_id))


def _mixed(groups: Iterable[list[LesionRecord]], seed: int) -> list[list[LesionRecord]]:
    """Lesions in an order of which every beginning has about the whole's mix of classes."""
    drawn = sorted(groups, key=lambda group: draw(seed, "train images", group[0].image_id))
    total = Counter(group[0].label for group in drawn)
    seen: Counter[str] = Counter()
    places: list[float] = []
    for group in drawn:
        places.append((seen[group[0].label] + 0.5) / total[group[0].label])
        seen[group[0].label] += 1
    return [drawn[i] for i in sorted(range(len(drawn)), key=places.__getitem__)]


def _refuse_unknown(names: set[str], splits: Mapping[str, Splits], option: str) -> None:
    if unknown := names - set(splits):
        raise SettingsError(
            f"There is no clinic '{min(unknown)}'",
            where=option,
            remedy=f"The clinics are {', '.join(splits)}",
        )
