"""HAM10000 by the place of its acquisition, and ISIC 2017 where that is known, as one data set.

    python -m simulation.studies.five_clinics HAM10000 ISIC2017 OUT

Both have a ``metadata.csv`` with the column ``clinic``; images without a clinic are left out. OUT gets one
manifest and links to the images.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

from shared.datasets.files import find_images
from shared.errors import DatasetError

COLUMNS = ("image_id", "lesion_id", "diagnosis", "age", "sex", "site", "clinic")


def join(sources: list[Path], out: Path) -> int:
    """Writes the joint data set.

    Args:
        sources: folders with ``metadata.csv`` and images.
        out: a folder that is not there yet.

    Returns:
        The number of its images.

    Raises:
        DatasetError: a source lacks an image or the column ``clinic``.
    """
    rows = [(row, path) for source in sources for row, path in _rows(source)]
    (out / "images").mkdir(parents=True)
    for _, path in rows:
        (out / "images" / path.name).symlink_to(path.resolve())
    with (out / "metadata.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(row for row, _ in rows)
    return len(rows)


def _rows(source: Path) -> list[tuple[dict[str, str], Path]]:
    images = find_images(source).images
    with (source / "metadata.csv").open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        if missing := set(COLUMNS) - set(reader.fieldnames or ()):
            raise DatasetError(f"There is no column '{min(missing)}'", where=source / "metadata.csv")
        rows = [row for row in reader if row["clinic"]]
    try:
        return [(row, images[row["image_id"]]) for row in rows]
    except KeyError as error:
        raise DatasetError(f"There is no image {error}", where=source) from error


if __name__ == "__main__":
    *given, out = map(Path, sys.argv[1:])
    print(f"{join(given, out)} images: {out}")
