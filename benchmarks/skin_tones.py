"""What the typology angle says of a data set's images, with the lesions' masks and without them.

    python -m benchmarks.skin_tones DATA [--json]

DATA is a data set with lesion masks and, for the medians by clinic, the column ``clinic``.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from dermafed.shared.imaging.decoding import read_mask
from dermafed.shared.lesions.readers.loading import load_dataset
from dermafed.shared.lesions.record import LesionRecord
from dermafed.shared.metrics.fairness.skin_tone import TONES, tone
from dermafed.simulation.studies.image_groups import measure_angles

BLUISH = 94  # degrees: above, b* is clearly negative
LARGE = 0.6  # of the image, which the lesion fills

Angles = NDArray[np.float64]


def measure(records: Sequence[LesionRecord]) -> dict[str, Any]:
    """The figures of docs/fairness.md.

    Args:
        records: images, each with a mask.
    """
    with_masks = _angles(records)
    without_masks = _angles([replace(record, mask=None) for record in records])
    filled = np.array([_filled(record) for record in records])
    known, both = ~np.isnan(with_masks), ~(np.isnan(with_masks) | np.isnan(without_masks))
    clinics = np.array([record.attributes.get("clinic", "") for record in records])
    tones = Counter(tone(angle) for angle in with_masks[known])
    return {
        "images": len(records),
        "without skin": int((~known).sum()),
        **{f"{name} skin": tones[name] for name in TONES},
        **{
            f"median at {name}": float(np.median(with_masks[known & (clinics == name)]))
            for name in np.unique(clinics[known])
        },
        f"percent above {BLUISH} degrees": 100 * float((with_masks[known] > BLUISH).mean()),
        "mean difference without a mask": float(np.abs(with_masks - without_masks)[both].mean()),
        "percent of another class without a mask": 100
        * float(
            np.mean([tone(a) != tone(b) for a, b in zip(with_masks[both], without_masks[both], strict=True)])
        ),
        "mean difference where lesions are large": float(
            np.abs(with_masks - without_masks)[both & (filled > LARGE)].mean()
        ),
    }


def _angles(records: Sequence[LesionRecord]) -> Angles:
    found = measure_angles(records)
    return np.array([found[str(record.path)] for record in records])


def _filled(record: LesionRecord) -> float:
    assert record.mask is not None
    return float(read_mask(record.mask).mean())


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    metrics = measure([record for record in load_dataset(options.data).records if record.mask])
    if options.json:
        print(json.dumps(metrics))
        return
    table = Table("Typology angle", "")
    for name, value in metrics.items():
        table.add_row(name, f"{value:.3g}" if isinstance(value, float) else str(value))
    Console().print(table)


if __name__ == "__main__":
    main()
