"""How often a data set's images are cautioned about, and how often colours that contradict a header are seen.

    python -m benchmarks.cautions DATA... [--images 1500] [--json]

Of each data set evenly spaced images are taken. Figures are percentages.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table

from dermafed.client.clinic.intake.pixels import is_possible_ybr, is_probable_ybr
from dermafed.client.clinic.intake.quality import TEXTS, assess
from dermafed.console import stderr
from dermafed.shared.imaging.decoding import read_image
from dermafed.shared.lesions.readers.image_files import find_images

Image = NDArray[np.uint8]

BLURS = (1.5, 2.0, 3.0)  # pixels, sigma

# A header is refused that calls YBR RGB where the values are probably YBR, and the other way round where they
# cannot be; see client/clinic/intake/pixels.py.
HEADERS: dict[tuple[str, str], Callable[[Image], bool]] = {
    ("RGB", "RGB"): is_probable_ybr,
    ("RGB", "YBR"): lambda values: not is_possible_ybr(values),
    ("YBR", "RGB"): lambda values: is_probable_ybr(as_ybr(values)),
    ("YBR", "YBR"): lambda values: not is_possible_ybr(as_ybr(values)),
}


def as_ybr(rgb: Image) -> Image:
    """As YBR_FULL."""
    return np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2YCrCb)[..., [0, 2, 1]], np.uint8)


def codes(image: Image) -> set[str]:
    return {caution.code for caution in assess(image)}


def findings(image: Image) -> dict[tuple[str, ...], bool]:
    """What is said of one image, by table and row."""
    found_codes = codes(image)
    blurred = {pixels: codes(cv2.GaussianBlur(image, (0, 0), pixels)) for pixels in BLURS}
    return (
        {("cautions", code): code in found_codes for code in TEXTS}
        | {("blurred", f"{pixels:g}"): "blur" in own for pixels, own in blurred.items()}
        | {("colours", *header): refused(image) for header, refused in HEADERS.items()}
    )


def measure(folders: Sequence[Path], count: int) -> dict[str, list[dict[str, Any]]]:
    """The tables ``cautions`` and ``blurred``, by data set, and ``colours``, of all images together."""
    found = {folder.name: [findings(image) for image in images(folder, count)] for folder in folders}
    every = {"all": [each for own in found.values() for each in own]}

    def rows(table: str, names: Sequence[str], sets: dict[str, Any]) -> list[dict[str, Any]]:
        keys = [key for key in every["all"][0] if key[0] == table]
        return [
            {
                "set": name,
                "images": len(own),
                **dict(zip(names, key[1:], strict=True)),
                "percent": share(own, key),
            }
            for key in keys
            for name, own in sets.items()
        ]

    return {
        "cautions": rows("cautions", ["caution"], found),
        "blurred": rows("blurred", ["pixels"], every),
        "colours": rows("colours", ["stored", "called"], every),
    }


def share(own: Sequence[dict[tuple[str, ...], bool]], key: tuple[str, ...]) -> float:
    return 100 * float(np.mean([each[key] for each in own]))


def images(folder: Path, count: int) -> list[Image]:
    paths = sorted(find_images(folder).images.values())
    chosen = np.unique(np.linspace(0, len(paths) - 1, min(count, len(paths))).astype(int))
    return [read_image(paths[place]) for place in track(chosen, folder.name, console=stderr())]


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument("--images", type=int, default=1500, help="of each data set")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    found = measure(given.data, given.images)
    if given.json:
        print(json.dumps(found))
        return
    for title, rows in found.items():
        table = Table(*rows[0], title=title)
        for row in rows:
            table.add_row(*(f"{cell:.2f}" if isinstance(cell, float) else str(cell) for cell in row.values()))
        Console().print(table)


if __name__ == "__main__":
    main()
