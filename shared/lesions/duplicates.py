"""Duplicate images across the sides of a split."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from dermafed.shared.errors import DatasetError, ImageError
from dermafed.shared.imaging.decoding import content_digest
from dermafed.shared.lesions.record import LesionRecord
from dermafed.shared.lesions.splits import Splits


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
    """Leave out of training and validation what is, byte for byte, an image of the test.

    Args:
        splits: of one clinic.

    Raises:
        ImageError: a file cannot be read.
    """
    sizes = {_size(record.path) for record in splits.test}
    digests = {content_digest(record.path) for record in splits.test}

    def kept(records: Sequence[LesionRecord]) -> tuple[LesionRecord, ...]:
        return tuple(
            r for r in records if _size(r.path) not in sizes or content_digest(r.path) not in digests
        )

    return Splits(kept(splits.train), kept(splits.validation), splits.test)


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
