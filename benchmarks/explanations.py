"""How good each method's explanations of a model are: the measures of shared.explain.quality, by method.

    python -m benchmarks.explanations MODEL DATA [--images 200] [--methods scorecam,cam] [--json]

DATA is a data set with lesion masks. A method without passes, all channels weighing the same (``uniform``),
and one that never looks (``centre``) say what the figures are worth. Apart from all images, those that the
model does not take for its most frequent answer are listed by themselves: removing pixels hardly moves the
score of the others.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table

from client.explain_quality import predictor
from shared.classes import map_classes
from shared.datasets import load_dataset
from shared.explain import METHODS, Explain, Explainer
from shared.explain.maps import activation_maps, enlarge, to_unit
from shared.explain.quality.figures import FEWEST_IMAGES, ExplanationQuality
from shared.explain.quality.interfaces import Predict, checked_heatmap
from shared.explain.quality.pointing import lesion_mask
from shared.explain.quality.scoring import ImageAndMask, image_scores
from shared.model.model_file import load_model
from shared.preprocess import PreprocessCache, PreprocessSettings, default_cache_folder


def centre(image: NDArray[np.uint8], target: int) -> NDArray[np.float32]:
    """A Gaussian in the middle, whatever the image."""
    place = np.linspace(-2, 2, len(image), dtype=np.float32)
    return np.exp(-(place[:, None] ** 2 + place**2) / 2)


def uniform(explainer: Explainer) -> Explain:
    """The sum of the normalised maps, without a masked pass."""

    def explain(image: NDArray[np.uint8], target: int) -> NDArray[np.float32]:
        activations, _ = explainer.tools.engine.look(image.astype(np.float32))
        maps = activation_maps(activations, explainer.network.size)
        return to_unit(enlarge(maps.masks.mean(0), explainer.network.size))

    return explain


def load(folder: Path, settings: PreprocessSettings, count: int) -> list[ImageAndMask]:
    """Every n-th image that has a mask, of those with the paper's classes."""
    records = [r for r in map_classes(load_dataset(folder).records, "paper")[1] if r.mask is not None]
    chosen = [records[int(place)] for place in np.linspace(0, len(records) - 1, min(count, len(records)))]
    images = PreprocessCache(default_cache_folder()).load([r.path for r in chosen], settings).images
    masks = [lesion_mask(record.mask, settings) for record in chosen if record.mask]
    return list(zip(np.asarray(images), masks, strict=True))


def measure(
    name: str, explain: Explain, predict: Predict, images: Sequence[ImageAndMask], targets: Sequence[int]
) -> list[dict[str, Any]]:
    """The method's rows: all images, and those not taken for the most frequent answer."""
    usual, scores, seconds = int(np.bincount(targets).argmax()), [], []
    for (image, mask), target in track(list(zip(images, targets, strict=True)), name):
        start = time.perf_counter()
        heatmap = checked_heatmap(explain(image, target), image)
        seconds.append(time.perf_counter() - start)
        scores.append(image_scores(explain, predict, image, heatmap, target, mask))
    other = [score for score, target in zip(scores, targets, strict=True) if target != usual]
    parts = {"all": scores, "others": other if len(other) >= FEWEST_IMAGES else []}
    return [
        {
            "method": name,
            "images of": part,
            "seconds": float(np.median(seconds)),
            **ExplanationQuality.from_scores(found).summary(),
        }
        for part, found in parts.items()
        if found
    ]


def methods(classifier: keras.Model) -> dict[str, Callable[..., Any]]:
    explainer = Explainer(classifier)
    family = {name: explainer.method(name) for name in METHODS if name != "scorecam-exact"}
    return {**family, "uniform": uniform(explainer), "centre": centre}


def show(rows: list[dict[str, Any]]) -> None:
    names = list(rows[0]["measures"])
    table = Table("method", "images", *(name.replace("_", " ") for name in names), "seconds")
    for row in rows:
        cells = [f"{row['measures'][name]['mean']:.3f}" if name in row["measures"] else "-" for name in names]
        table.add_row(row["method"], f"{row['images']} {row['images of']}", *cells, f"{row['seconds']:.2f}")
    Console(width=160).print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--methods", help="some of them, separated by commas")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    classifier, card = load_model(given.model)
    images, predict = load(given.data, card.preprocess, given.images), predictor(classifier)
    targets = predict(np.stack([image for image, _ in images]).astype(np.float32)).argmax(1).tolist()
    chosen = given.methods.split(",") if given.methods else None
    rows = [
        row
        for name, explain in methods(classifier).items()
        if chosen is None or name in chosen
        for row in measure(name, explain, predict, images, targets)
    ]
    if given.json:
        print(json.dumps(rows, indent=2))
    else:
        show(rows)


if __name__ == "__main__":
    main()
