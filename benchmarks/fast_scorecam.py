"""How near fast Score-CAM comes to the exact one, beside uniform weights, which take no pass at all.

    python -m benchmarks.fast_scorecam RUN [--images 56] [--json]

RUN is the folder of an ``fl-simulate --out``; the images are of its test sets, half of them misclassified.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.explanations import uniform
from benchmarks.run_images import RunImages, arguments_of_a_run, run_images, spaced
from dermafed.console import stderr
from dermafed.shared.explain.maps import Float, map_agreement

TOP = 0.2


def overlap(one: Float, other: Float) -> float:
    """Intersection over union of two maps' highest fifths."""
    first, second = (heatmap >= np.quantile(heatmap, 1 - TOP) for heatmap in (one, other))
    return float((first & second).sum() / (first | second).sum())


def half_wrong(images: RunImages, count: int) -> list[int]:
    """Indices of images, half of them misclassified."""
    wrong = images.predicted != images.labels
    halves = (spaced(np.flatnonzero(side), count // 2) for side in (wrong, ~wrong))
    return sorted(int(index) for half in halves for index in half)


def compare(images: RunImages, chosen: list[int]) -> list[dict[str, Any]]:
    """A row for each image: what its fast and its uniform map have in common with the exact one."""
    explainer = images.explainer
    without = uniform(explainer)

    def row(image: NDArray[np.uint8], index: int) -> dict[str, Any]:
        target = int(images.predicted[index])
        exact = explainer.explain(image, target=target, method="scorecam-exact")
        fast, flat = explainer.explain(image, target=target), without(image, target)
        return {
            "correct": bool(images.predicted[index] == images.labels[index]),
            "fast_r": map_agreement(exact.heatmap, fast.heatmap),
            "fast_overlap": overlap(exact.heatmap, fast.heatmap),
            "fast_passes": fast.passes,
            "uniform_r": map_agreement(exact.heatmap, flat),
            "uniform_overlap": overlap(exact.heatmap, flat),
            "uniform_passes": 0,
        }

    return [row(images.pixels[index], index) for index in track(chosen, console=stderr())]


def summary(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The figures asked of an estimate, for the fast map and the uniform one; a line each."""
    lines = []
    for name in ("fast", "uniform"):
        r, shared = (np.array([row[f"{name}_{what}"] for row in rows]) for what in ("r", "overlap"))
        passes = np.array([row[f"{name}_passes"] for row in rows])
        lines.append(
            {
                "map": name,
                "images": len(rows),
                "misclassified": sum(not row["correct"] for row in rows),
                "r": float(r.mean()),
                "least_r": float(r.min()),
                "overlap": float(shared.mean()),
                "least_overlap": float(shared.min()),
                "passes": float(passes.mean()),
                "passes_p95": float(np.quantile(passes, 0.95)),
            }
        )
    return lines


def main() -> None:
    given = arguments_of_a_run(__doc__, images=56).parse_args()
    images = run_images(given.run, "test")
    rows = compare(images, half_wrong(images, given.images))
    if given.json:
        print(json.dumps(summary(rows), indent=2))
        return
    lines = summary(rows)
    table = Table(*(name.replace("_", " ") for name in lines[0]))
    for line in lines:
        table.add_row(*(f"{cell:.3f}" if isinstance(cell, float) else str(cell) for cell in line.values()))
    Console().print(table)


if __name__ == "__main__":
    main()
