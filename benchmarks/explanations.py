"""How good each method's explanations are: the measures of dermafed.shared.explain.quality, by method.

    python -m benchmarks.explanations RUN [--images 200] [--methods scorecam,gradcam] [--json]

RUN is the folder of an ``fl-simulate --out`` whose data have lesion masks; the images are of its test sets.
A method without passes, all channels weighing the same (``uniform``), and one that never looks (``centre``)
say what the figures are worth. The images that the model does not take for its most frequent answer are
also listed by themselves: removing pixels hardly moves the score of the others. ``randomised`` is the maps'
correlation with those of the same network with all its weights shuffled; a method above 0.5 fails.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table

from dermafed.console import stderr
from dermafed.shared.explain.explainer import Explainer
from dermafed.shared.explain.maps import Explain, Float, activation_maps, checked_heatmap, to_unit
from dermafed.shared.explain.methods import METHODS
from dermafed.shared.explain.quality.quality_sums import FEWEST_IMAGES, MEASURES, ExplanationQuality
from dermafed.shared.explain.quality.randomisation import weight_dependence
from dermafed.shared.explain.quality.scoring import ImageAndMask, image_scores
from dermafed.shared.explain.score_cam import ScoreCam, exact_score_cam
from dermafed.shared.imaging.lesion_masks import lesion_mask
from dermafed.shared.imaging.preprocess_settings import PreprocessSettings
from dermafed.shared.lesions.clinic_split import read_clinic_split
from dermafed.shared.lesions.record import LesionRecord
from dermafed.shared.model.model_file import load_model
from dermafed.shared.training.data import load_labelled
from dermafed.simulation.studies.method_scores import centre

RANDOMISED_IMAGES = 20


def uniform(explainer: Explainer) -> Explain:
    """Score-CAM's map if every channel scored the same: no masked pass."""

    def same(masks: Float) -> Float:
        return np.ones(len(masks), np.float32)

    def explain(image: NDArray[np.uint8], target: int) -> NDArray[np.float32]:
        activations, _ = explainer.opened.engine.forward(image.astype(np.float32))
        maps = activation_maps(activations, explainer.network.size)
        return to_unit(exact_score_cam(ScoreCam(maps, same, explainer.opened.convention)))

    return explain


# What is compiled for a model serves all its methods.
explainer_of = lru_cache(4)(Explainer)


def methods() -> dict[str, Callable[[keras.Model], Explain]]:
    """Each method, for a model."""

    def of(name: str) -> Callable[[keras.Model], Explain]:
        return lambda model: explainer_of(model).method(name)

    family = {name: of(name) for name in METHODS if name != "scorecam-exact"}
    return {**family, "uniform": lambda model: uniform(explainer_of(model)), "centre": lambda _: centre}


def scores(name: str, explain: Explain, images: RunImages, chosen: Sequence[int]) -> list[dict[str, float]]:
    """Every measure of every image, and the seconds of its map."""
    found = []
    for index, (image, mask) in track(
        list(zip(chosen, images.with_masks(chosen), strict=True)), name, console=stderr()
    ):
        target = int(images.predicted[index])
        start = time.perf_counter()
        heatmap = checked_heatmap(explain(image, target), image)
        seconds = time.perf_counter() - start
        measures = image_scores(explain, images.explainer.predict, image, heatmap, target, mask)
        found.append({**measures, "seconds": seconds})
    return found


def rows(name: str, found: Sequence[dict[str, float]], usual: Sequence[bool]) -> list[dict[str, Any]]:
    """The method's rows: all images, and those not taken for the most frequent answer."""
    others = [score for score, common in zip(found, usual, strict=True) if not common]
    return [
        {
            "method": name,
            "part": part,
            "images": len(some),
            "seconds": float(np.median([score["seconds"] for score in some])),
            **_with_intervals(ExplanationQuality.from_scores(some)),
        }
        for part, some in (("all", found), ("others", others))
        if len(some) >= FEWEST_IMAGES
    ]


def _with_intervals(quality: ExplanationQuality) -> dict[str, dict[str, float]]:
    return {
        name: {"value": moments.mean, **asdict(quality.interval(name))}
        for name, moments in quality.moments.items()
    }


def measure(
    name: str, explain_for: Callable[[keras.Model], Explain], images: RunImages, chosen: Sequence[int]
) -> list[dict[str, Any]]:
    """A method's rows, the first with the check on randomised weights."""
    most = np.bincount(images.predicted).argmax()
    explain = explain_for(images.classifier)
    explain(images.pixels[0], 0)  # what is built once is not timed
    found = rows(name, scores(name, explain, images, chosen), [images.predicted[i] == most for i in chosen])
    few = [(images.pixels[i], int(images.predicted[i])) for i in chosen[:: len(chosen) // RANDOMISED_IMAGES]]
    found[0]["randomised"] = weight_dependence(explain_for, images.classifier, few).everything
    return found


def show(found: list[dict[str, Any]]) -> None:
    names = [name for name in MEASURES if name in found[0]]
    arrows = {"low": " ↓", "high": " ↑", None: ""}
    headings = (name.replace("_", " ") + arrows[MEASURES[name].better] for name in names)
    table = Table("method", "images", *headings, "randomised", "seconds")
    for row in found:
        means = [f"{row[name]['value']:.3f}" if name in row else "-" for name in names]
        randomised = f"{row['randomised']:.2f}" if "randomised" in row else ""
        counted = f"{row['images']} {row['part']}"
        table.add_row(row["method"], counted, *means, randomised, f"{row['seconds']:.2f}")
    Console(width=180).print(table)


Indices = NDArray[np.int64]


def arguments_of_a_run(description: str | None, images: int) -> argparse.ArgumentParser:
    """What every measurement of a run's model is given: the run's folder, how many images, how to tell."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--images", type=int, default=images)
    parser.add_argument("--json", action="store_true")
    return parser


@dataclass(frozen=True, eq=False)
class RunImages:
    """N images of a run's clinics, by name.

    Attributes:
        classifier: the run's model.
        explainer: of it.
        classes: their names.
        records: where the images come from.
        pixels: uint8 (N, S, S, 3), preprocessed.
        labels: diagnoses, (N,).
        predicted: the model's, (N,).
        preprocess: how the images were prepared.
    """

    classifier: keras.Model
    explainer: Explainer
    classes: tuple[str, ...]
    records: tuple[LesionRecord, ...]
    pixels: NDArray[np.uint8]
    labels: Indices
    predicted: Indices
    preprocess: PreprocessSettings

    def with_masks(self, indices: Iterable[int]) -> list[ImageAndMask]:
        """Some of the images, each with its lesion's mask where the data have one."""
        masks = ((index, self.records[index].mask) for index in indices)
        return [
            (self.pixels[index], None if mask is None else lesion_mask(mask, self.preprocess))
            for index, mask in masks
        ]


def run_images(run: Path, side: Literal["validation", "test"]) -> RunImages:
    """The images of one side of the split, from the folder that ``fl-simulate --out`` wrote."""
    classifier, card = load_model(run / "model.keras")
    explainer = Explainer(classifier)
    clinics = [read_clinic_split(folder) for folder in sorted((run / "sites/clinics").iterdir())]
    records = sorted(
        (record for clinic in clinics for record in clinic.splits.sides()[side]), key=lambda one: one.image_id
    )
    data = load_labelled(records, card.model, card.preprocess)
    return RunImages(
        classifier=classifier,
        explainer=explainer,
        classes=card.model.classes,
        records=tuple(records),
        pixels=data.images,
        labels=data.labels,
        predicted=explainer.predict(data.images.astype(np.float32)).argmax(1),
        preprocess=card.preprocess,
    )


def spaced(indices: Indices, count: int) -> Indices:
    """At most so many of the indices, evenly spaced."""
    places = np.linspace(0, len(indices) - 1, min(count, len(indices)))
    return indices[places.astype(np.int64)]


def main() -> None:
    parser = arguments_of_a_run(__doc__, images=200)
    parser.add_argument("--methods", help="some of them, separated by commas")
    given = parser.parse_args()
    images = run_images(given.run, "test")
    chosen = spaced(np.arange(len(images.pixels)), given.images).tolist()
    wanted = given.methods.split(",") if given.methods else list(methods())
    found = [row for name in wanted for row in measure(name, methods()[name], images, chosen)]
    if given.json:
        print(json.dumps(found, indent=2))
    else:
        show(found)


if __name__ == "__main__":
    main()
