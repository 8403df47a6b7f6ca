"""Joins HAM10000 by the place of its acquisition, and ISIC 2017 where that is known, to one data set.

    python -m dermafed.simulation.studies.five_clinics HAM10000 ISIC2017 OUT

Both have a ``metadata.csv`` with the column ``clinic``; images without a clinic are left out. OUT gets one
manifest and links to the images.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from dermafed.console import run_app
from dermafed.shared.errors import DatasetError
from dermafed.shared.lesions.readers.image_files import find_images
from dermafed.shared.storage.atomic_files import make_folder
from dermafed.simulation.synthetic.dataset import COLUMNS, MANIFEST


def join(sources: list[Path], out: Path) -> int:
    """Writes the joint data set.

    Args:
        sources: folders with ``metadata.csv`` and images.
        out: a new folder.

    Returns:
        The number of its images.

    Raises:
        DatasetError: a source lacks its manifest, an image or a column, two images have the same name, or
            ``out`` exists.
    """
    rows = [(row, path) for source in sources for row, path in _rows(source)]
    names = Counter(path.name for _, path in rows)
    if twice := [name for name, times in names.items() if times > 1]:
        raise DatasetError(f"Two images are named {twice[0]}", where=out, remedy="Rename one")
    if out.exists():
        raise DatasetError("The folder exists already", where=out, remedy="Choose another")
    make_folder(out / "images")
    for _, path in rows:
        (out / "images" / path.name).symlink_to(path.resolve())
    with (out / MANIFEST).open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(row for row, _ in rows)
    return len(rows)


def _rows(source: Path) -> list[tuple[dict[str, str], Path]]:
    images = find_images(source).images
    manifest = source / MANIFEST
    try:
        reader = csv.DictReader(io.StringIO(manifest.read_text("utf-8")))
        every = list(reader)
    except (OSError, ValueError, csv.Error) as error:
        raise DatasetError(f"The manifest cannot be read: {error}", where=manifest) from error
    if missing := set(COLUMNS) - set(reader.fieldnames or ()):
        raise DatasetError(f"There is no column '{min(missing)}'", where=manifest)
    rows = [row for row in every if row["clinic"]]
    try:
        return [(row, images[row["image_id"]]) for row in rows]
    except KeyError as error:
        raise DatasetError(f"There is no image {error}", where=source) from error


def main(
    sources: Annotated[list[Path], typer.Argument(show_default=False, help="Folders with metadata.csv.")],
    out: Annotated[Path, typer.Argument(show_default=False, help="A new folder.")],
) -> None:
    """Join data sets with a column of clinics to one data set, with links to their images."""
    Console().print(f"{join(sources, out)} images: {out}", soft_wrap=True, highlight=False)


if __name__ == "__main__":
    app = typer.Typer(add_completion=False)
    app.command()(main)
    run_app(app)
