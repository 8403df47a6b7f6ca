"""Smaller federations of the same data: fewer clinics, or fewer training images; the test is unchanged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from dermafed.shared.errors import SettingsError
from dermafed.shared.lesions.clinical_values import composed
from dermafed.shared.lesions.lesion_groups import draw, lesion_groups
from dermafed.shared.lesions.record import LesionRecord, Splits


def select_clinics(splits: Mapping[str, Splits], only: str | None) -> dict[str, Splits]:
    """Selects the clinics that take part.

    Args:
        splits: the split of each clinic.
        only: names separated by commas; ``None``: all.

    Raises:
        SettingsError: there is no such clinic.
    """
    if only is None:
        return dict(splits)
    names = {composed(name.strip()) for name in only.split(",")}
    _refuse_unknown(names, splits, "--only")
    return {clinic: own for clinic, own in splits.items() if clinic in names}


def limit_training_images(splits: Mapping[str, Splits], spec: str | None, *, seed: int) -> dict[str, Splits]:
    """Limits the number of training images, with whole lesions and patients, and the clinic's mix of classes.

    A larger selection contains each smaller one: with the same seed, 100 images are 50 and another 50.

    Args:
        splits: the split of each clinic.
        spec: ``N`` for every clinic or ``CLINIC:N`` for one; ``None``: all images.
        seed: seed of the selection.

    Returns:
        The splits with at most N training images, or one lesion; validation and test are unchanged.

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
    """Reads ``N`` or ``CLINIC:N``: the clinic, ``None`` for every one, and the number.

    Raises:
        SettingsError: it is neither.
    """
    clinic, colon, number = spec.rpartition(":")
    if not number.isdecimal() or len(number) > 9 or int(number) < 1 or bool(colon) != bool(clinic):
        raise SettingsError(
            f"{spec!r} is not a number of images",
            where="--train-images",
            remedy="Write N or CLINIC:N, N of 1 or more",
        )
    return clinic or None, int(number)


def _fewer(records: Sequence[LesionRecord], count: int, seed: int) -> tuple[LesionRecord, ...]:
    selected: list[LesionRecord] = []
    for group in _mixed([[records[i] for i in group] for group in lesion_groups(records)], seed):
        if selected and len(selected) + len(group) > count:
            break  # without a try of the next smaller group: a larger selection must contain this one
        selected += group
    return tuple(sorted(selected, key=lambda record: record.image_id))


def _mixed(groups: Iterable[list[LesionRecord]], seed: int) -> list[list[LesionRecord]]:
    """Lesions in an order whose every beginning has about the mix of classes of them all."""
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
