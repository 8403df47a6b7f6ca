"""How good each method's explanations are: the measures of dermafed.shared.explain.quality, by method.

    python -m benchmarks.explanations RUN [--images 200] [--methods scorecam,gradcam] [--json]

RUN is the folder of an ``fl-simulate --out`` whose data have lesion masks; the images are of its test sets.
A method without passes, all channels weighing the same (``uniform``), and maps that never look (``blob``,
``mean mask``, and ``of another image``: the method's map of the next one) say what the figures are worth.
Images that the model does not take for its most frequent answer are also listed by themselves: removing
pixels hardly moves the score of the others. ``randomised`` is the maps' correlation with those of the same
network with all its weights shuffled; a method above 0.5 fails.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.run_images import RunImages, arguments_of_a_run, run_images, spaced
from dermafed.shared.errors import ModelError
from dermafed.shared.explain.explainer import Explainer
from dermafed.shared.explain.maps import Contrast, Explain, Float, activation_maps, to_unit
from dermafed.shared.explain.methods import METHODS
from dermafed.shared.explain.network import Target
from dermafed.shared.explain.quality.lesion_deletion import drop_ratios
from dermafed.shared.explain.quality.method_quality import (
    MeasuredMethod,
    MethodQuality,
    method_quality,
    with_best_widths,
)
from dermafed.shared.explain.quality.nulls import Nulls
from dermafed.shared.explain.quality.quality_sums import FEWEST_IMAGES, MEASURES, ExplanationQuality
from dermafed.shared.explain.quality.randomisation import randomised
from dermafed.shared.explain.score_cam import ScoreCam, exact_score_cam
from dermafed.simulation.studies.method_names import BLOB, CONTROLS, OF_ANOTHER_IMAGE
from dermafed.simulation.studies.method_scores import controls, ignoring


def uniform(explainer: Explainer) -> Explain:
    """Score-CAM's map if every channel scored the same: no masked pass."""

    def same(masks: Float) -> Float:
        return np.ones((len(masks), 1), np.float32)

    def explain(image: NDArray[np.uint8], target: int) -> NDArray[np.float32]:
        activations, _ = explainer.opened.engine.forward(image.astype(np.float32))
        maps = activation_maps(activations, explainer.network.size)
        return to_unit(exact_score_cam(ScoreCam(maps, same, Target(0), explainer.opened.convention)))

    return explain


def without_contrast(explain: Explain) -> Contrast:
    """A method that has one map for all classes."""
    return lambda image, target, against: explain(image, target)


Of = Callable[[Explainer], Contrast]


def methods(side: int, nulls: Nulls | None) -> dict[str, Of]:
    """Each method, for a model's explainer."""

    def of(name: str) -> Of:
        return lambda explainer: explainer.contrast(name)

    def same(heatmap: Float) -> Of:
        return lambda _: ignoring(heatmap)

    family = {name: of(name) for name in METHODS if name != "scorecam-exact"}
    maps = {name: same(heatmap) for name, heatmap in controls(side, nulls).items()}
    return {**family, "uniform": lambda explainer: without_contrast(uniform(explainer)), **maps}


def defined(of: Of, images: RunImages) -> bool:
    """Whether a method is defined for the model."""
    try:
        of(images.explainer)(images.pixels[0], 0, None)
    except ModelError:
        return False
    return True


def timed(explain: Contrast, seconds: list[float]) -> Contrast:
    """The same method, which notes how long each map took."""

    def explain_timed(image: NDArray[np.uint8], target: int, against: int | None) -> Float:
        start = time.perf_counter()
        heatmap = explain(image, target, against)
        seconds.append(time.perf_counter() - start)
        return heatmap

    return explain_timed


def measure(
    name: str, of: Of, images: RunImages, shuffled: Explainer, chosen: Sequence[int]
) -> list[dict[str, Any]]:
    """A method's rows: all images, those not taken for the most frequent answer, and maps of other images."""
    explain, pairs, seconds = of(images.explainer), images.with_masks(chosen), list[float]()
    explain(images.pixels[0], 0, None)  # what is built once is not timed
    method = MeasuredMethod(timed(explain, seconds), of(shuffled))
    quality = method_quality(method, images.explainer.predict, pairs, images.nulls)
    if name == BLOB and images.nulls is not None:
        quality = with_best_widths(quality, pairs, images.nulls)
    rows = method_rows(name, quality, [bool(images.usual[index]) for index in chosen])
    return [{**row, "seconds": float(np.median(seconds))} for row in rows]


def method_rows(name: str, quality: MethodQuality, usual: Sequence[bool]) -> list[dict[str, Any]]:
    """The rows of one method's scores, each with the number of its images.

    Args:
        name: of the method.
        quality: its scores.
        usual: whether each image is taken for the most frequent answer.
    """
    others = [own for own, common in zip(quality.images, usual, strict=True) if not common]
    parts = {"all": quality.images, "others": others, OF_ANOTHER_IMAGE: quality.other_image}
    return [
        {
            "method": name,
            "part": part,
            "images": len(some),
            **_with_intervals(ExplanationQuality.from_scores(some)),
            **{ratio: {"value": value} for ratio, value in drop_ratios(some).items()},
        }
        for part, some in parts.items()
        if len(some) >= FEWEST_IMAGES and not (name in CONTROLS and part == OF_ANOTHER_IMAGE)
    ]


def _with_intervals(quality: ExplanationQuality) -> dict[str, dict[str, float]]:
    return {
        name: {"value": moments.mean, **asdict(quality.interval(name))}
        for name, moments in quality.moments.items()
    }


def show(found: list[dict[str, Any]]) -> None:
    """Print the rows; a null's precision beside each method's is left out, since it is a row of its own."""
    measures = dict.fromkeys(name for row in found for name in row if isinstance(row[name], dict))
    shown = [name for name in measures if not name.endswith(("_blob", "_mean_mask", "_other_image"))]
    arrows = {"low": " ↓", "high": " ↑", None: ""}
    better = {name: arrows[measure.better] for name, measure in MEASURES.items()}
    table = Table(
        "method", "images", *(name.replace("_", " ") + better.get(name, " ↑") for name in shown), "seconds"
    )
    for row in found:
        means = [f"{row[name]['value']:.3f}" if name in row else "-" for name in shown]
        table.add_row(row["method"], f"{row['images']} {row['part']}", *means, f"{row['seconds']:.2f}")
    Console(width=300).print(table)


def main() -> None:
    parser = arguments_of_a_run(__doc__, images=200)
    parser.add_argument("--methods", help="some of them, separated by commas")
    given = parser.parse_args()
    images = run_images(given.run, "test")
    chosen = spaced(np.arange(len(images.pixels)), given.images).tolist()
    shuffled = Explainer(randomised(images.classifier, "everything"))
    every = methods(images.preprocess.image_size, images.nulls)
    wanted = (
        given.methods.split(",")
        if given.methods
        else [name for name in every if defined(every[name], images)]
    )
    found = [row for name in wanted for row in measure(name, every[name], images, shuffled, chosen)]
    if given.json:
        print(json.dumps(found, indent=2))
    else:
        show(found)


if __name__ == "__main__":
    main()
