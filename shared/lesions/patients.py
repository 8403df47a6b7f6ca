"""The patients of images: what differential privacy protects as one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from dermafed.shared.imaging.decoding import content_digest
from dermafed.shared.lesions.lesion_groups import lesion_groups
from dermafed.shared.lesions.record import LesionRecord


def patient_groups(records: Sequence[LesionRecord]) -> list[list[int]]:
    """Group the images of each patient, else of each lesion; files of the same bytes are of one.

    Args:
        records: the images; only files whose size occurs twice are read.

    Returns:
        The indices of each patient's records.

    Raises:
        OSError: a file cannot be read.
    """
    sizes = [record.path.stat().st_size for record in records]
    counted = Counter(sizes)
    same = [
        content_digest(record.path) if counted[size] > 1 else None
        for record, size in zip(records, sizes, strict=True)
    ]
    return lesion_groups(records, same)
