"""Which Score-CAM explains best: the measures of dermafed.shared.explain.quality, by convention.

    python -m benchmarks.conventions RUN [--images 30] [--json]

RUN is the folder of an ``fl-simulate --out`` whose data have lesion masks; the images are of its validation
sets, equally many taken for each class. Conventions are ordered by insertion less deletion; the stability of
their maps is the correlation with those of the image under noise. The masked passes are those of fast
Score-CAM; conventions that differ only in what is made of their scores share them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from hashlib import blake2b
from itertools import product
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.run_images import RunImages, arguments_of_a_run, run_images, spaced
from dermafed.console import stderr
from dermafed.shared.explain.engine import Engine, Outputs
from dermafed.shared.explain.explainer import Explainer
from dermafed.shared.explain.fast_score_cam import fast_score_cam
from dermafed.shared.explain.maps import Float, activation_maps, to_unit
from dermafed.shared.explain.network import Target
from dermafed.shared.explain.quality.scoring import ImageAndMask, heatmap_scores
from dermafed.shared.explain.quality.stability import correlation, noisy
from dermafed.shared.explain.score_cam import CONVENTIONS, Convention, Fill, score_cam

CANDIDATES = [
    Convention(basis, score, fill, increase=True, softmax=softmax)
    for basis, (score, softmax), fill in product(
        ("masks", "signed"), (("logit", True), ("logit", False), ("probability", False)), get_args(Fill)
    )
]


def called(convention: Convention) -> str:
    known = [name for name, one in CONVENTIONS.items() if one == convention]
    weights = "softmax" if convention.softmax else "linear"
    parts = (convention.basis, convention.score, convention.fill, weights, *(f"({name})" for name in known))
    return " ".join(parts)


def remembering(engine: Engine) -> Engine:
    """The same engine, that makes no pass twice."""
    known: dict[bytes, tuple[Float, Float]] = {}

    def run(masks: Float, image: Float, fill: Float) -> Outputs:
        blank = blake2b(fill.tobytes()).digest()
        keys = [mask.tobytes() + blank for mask in masks]
        fresh = [at for at, key in enumerate(keys) if key not in known]
        if fresh:
            outputs = engine.run(masks[fresh], image, fill)
            known.update(zip((keys[at] for at in fresh), zip(*outputs, strict=True), strict=True))
        return Outputs(*(np.stack(part) for part in zip(*(known[key] for key in keys), strict=True)))

    return replace(engine, run=run)


def heatmaps(explainer: Explainer, image: NDArray[np.uint8], target: int) -> dict[str, Float]:
    """The map of each convention."""
    engine, pixels = remembering(explainer.opened.engine), image.astype(np.float32)
    maps = activation_maps(engine.forward(pixels)[0], explainer.network.size)
    conventions = [*CANDIDATES, *(one for one in CONVENTIONS.values() if one not in CANDIDATES)]
    return {
        called(one): to_unit(fast_score_cam(score_cam(engine, pixels, maps, Target(target), one)).heatmap)
        for one in conventions
    }


def balanced(images: RunImages, count: int) -> list[int]:
    """Indices of images, equally many taken for each class."""
    each = [np.flatnonzero(images.predicted == index) for index in range(len(images.classes))]
    return [int(index) for one in each for index in spaced(one, count // len(each))]


def measure(images: RunImages, chosen: Sequence[int]) -> list[dict[str, Any]]:
    explainer = images.explainer
    found: dict[str, list[dict[str, float]]] = {}
    pairs: list[ImageAndMask] = images.with_masks(chosen)
    for index, (image, mask) in track(list(zip(chosen, pairs, strict=True)), console=stderr()):
        target = int(images.predicted[index])
        under_noise = heatmaps(explainer, noisy(image, seed=0), target)
        for name, heatmap in heatmaps(explainer, image, target).items():
            measures = heatmap_scores(explainer.predict, image, heatmap, target, mask)
            gain = {"insertion_less_deletion": measures["insertion"] - measures["deletion"]}
            steady = {"stability_noise": correlation(heatmap, under_noise[name])}
            constant = {"constant": float(not heatmap.any())}
            found.setdefault(name, []).append({**gain, **measures, **steady, **constant})
    rows = [{"convention": name, **_means(scores)} for name, scores in found.items()]
    return sorted(rows, key=lambda row: -float(row["insertion_less_deletion"]))


def _means(scores: Sequence[dict[str, float]]) -> dict[str, float]:
    return {name: float(np.mean([score[name] for score in scores if name in score])) for name in scores[0]}


def main() -> None:
    given = arguments_of_a_run(__doc__, images=30).parse_args()
    images = run_images(given.run, "validation")
    rows = measure(images, balanced(images, given.images))
    if given.json:
        print(json.dumps(rows, indent=2))
        return
    table = Table(*(name.replace("_", " ") for name in rows[0]))
    for row in rows:
        table.add_row(*(f"{cell:.3f}" if isinstance(cell, float) else str(cell) for cell in row.values()))
    Console(width=180).print(table)


if __name__ == "__main__":
    main()
