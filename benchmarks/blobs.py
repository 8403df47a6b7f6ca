"""What maps that do not look at the image score: blobs of several widths, the mean mask, the mask itself.

    python -m benchmarks.blobs DATA [--images 300] [--json]

DATA is a data set with lesion masks; no network is needed. One image of each lesion; the mean mask is that of
as many other lesions. A score that a narrow blob wins rewards narrow maps, whatever they know.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from dermafed.shared.explain.quality.localisation import Mask
from dermafed.shared.explain.quality.method_quality import mean_scores
from dermafed.shared.explain.quality.nulls import WIDTHS, blob, fit_nulls
from dermafed.shared.explain.quality.scoring import add_precision_of_sets, lesion_scores
from dermafed.shared.imaging.lesion_masks import lesion_mask
from dermafed.shared.imaging.preprocess_settings import PreprocessSettings
from dermafed.shared.lesions.readers.loading import load_dataset

SETTINGS = PreprocessSettings(image_size=112)
SHOWN = ("pixel_precision", "off_centre_precision", "pointing", "pointing_gain")


def read_masks(data: Path, count: int) -> list[Mask]:
    """The masks of so many lesions, evenly spaced over those of the data set."""
    records = [record for record in load_dataset(data).records if record.mask is not None]
    lesions = list({record.lesion_id or record.image_id: record for record in records}.values())
    places = np.linspace(0, len(lesions) - 1, min(count, len(lesions))).astype(int)
    masks = [lesion_mask(path, SETTINGS) for place in places if (path := lesions[place].mask) is not None]
    return [mask for mask in masks if mask.any()]


def measure(masks: Sequence[Mask], others: Sequence[Mask]) -> list[dict[str, Any]]:
    """A row for each map: its scores on the masks, of which the mean mask has seen none."""

    def row(name: str, maps: Sequence[NDArray[np.float32]]) -> dict[str, Any]:
        scores = [lesion_scores(heatmap, mask) for heatmap, mask in zip(maps, masks, strict=True)]
        add_precision_of_sets(scores, maps, masks)
        found: Mapping[str, float] = mean_scores(scores)
        return {"map": name, "images": len(masks), **{measure: found[measure] for measure in SHOWN}}

    fixed = {f"blob, {width:.2f} of the side": blob(len(masks[0]), width) for width in WIDTHS}
    fixed["mean mask"] = fit_nulls(others).mean_mask
    rows = [row(name, [heatmap] * len(masks)) for name, heatmap in fixed.items()]
    return [*rows, row("the mask itself", [mask.astype(np.float32) for mask in masks])]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--images", type=int, default=300)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    masks = read_masks(given.data, 2 * given.images)
    rows = measure(masks[::2], masks[1::2])
    if given.json:
        print(json.dumps(rows, indent=2))
        return
    table = Table(*rows[0])
    for own in rows:
        table.add_row(*(f"{cell:.3f}" if isinstance(cell, float) else str(cell) for cell in own.values()))
    Console().print(table)


if __name__ == "__main__":
    main()
