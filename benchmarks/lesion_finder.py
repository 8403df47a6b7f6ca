"""How well a lesion finder finds lesions, fitted to some lesions' masks and tested on others.

    python -m benchmarks.lesion_finder DATA WEIGHTS [--backbone EfficientNetV2B0] [--images 900] [--json]

DATA is a data set with lesion masks, of which one image of each lesion is taken; WEIGHTS a .h5 file for the
backbone, which is not trained. 60 % of the lesions give the sums; 15 % are for choices: the threshold, the
weight of the colours, the penalty; 25 % are the test. Beside the finder: a blob in the middle, and the mean
of the masks that it was fitted to.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from dermafed.client.node.clinic_masks import with_masks
from dermafed.shared.imaging.cache import PreprocessCache, default_cache_folder
from dermafed.shared.imaging.preprocess_settings import PreprocessSettings
from dermafed.shared.lesion_finder.finder import LesionFinder
from dermafed.shared.lesion_finder.images import FoundLesion, find_lesions, sum_up_images
from dermafed.shared.lesion_finder.outline import Mask, pixel_shares
from dermafed.shared.lesions.readers.loading import load_dataset
from dermafed.shared.lesions.record import LesionRecord
from dermafed.shared.metrics.segmentation import ImageOverlap, segmentation_report
from dermafed.shared.model.classifier import to_flat
from dermafed.shared.model.initial_weights import initial_classifier
from dermafed.shared.model.model_settings import ModelSettings
from dermafed.shared.model.weights_digest import weights_digest
from dermafed.shared.training.backend import configure_backend

SIDE = 192
MEASURES = ("dice", "jaccard", "failed", "precision", "precision_off_centre")

Scores = Callable[[FoundLesion, NDArray[np.uint8]], NDArray[np.floating[Any]]]
"""What was found in an image, and the image, to its pixels' scores, (S, S)."""


def one_of_each_lesion(records: Sequence[LesionRecord], count: int) -> list[LesionRecord]:
    """So many records, each of another lesion, in random order."""
    first = list({record.group: record for record in reversed(records)}.values())
    order = np.random.default_rng(0).permutation(len(first))[:count]
    return [first[number] for number in order]


def null_scores(masks: Sequence[Mask]) -> dict[str, Scores]:
    """What knows nothing of an image: a blob in the middle, and the mean of masks."""
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE - 0.5
    blob, mean = -np.hypot(x, y), np.mean(masks, axis=0)
    return {"blob in the middle": lambda found, image: blob, "mean mask": lambda found, image: mean}


def report(
    found: Sequence[FoundLesion],
    images: NDArray[np.uint8],
    masks: Sequence[Mask],
    lesions: Sequence[str],
    scores: Scores,
) -> dict[str, Any]:
    """How well lesions were found, by the outlines and these scores."""
    triples = zip(found, images, masks, strict=True)
    overlaps = [ImageOverlap.of(one.outline.region, scores(one, image), mask) for one, image, mask in triples]
    nothing = sum(not one.outline.found for one in found)
    return {**segmentation_report(overlaps, lesions), "nothing_found": nothing}


def measure(data: Path, weights: str, backbone: str, count: int) -> dict[str, dict[str, Any]]:
    """The finder's reports on the lesions for choices and on the test, and those of the nulls on the test."""
    configure_backend(1)
    preprocess = PreprocessSettings(image_size=SIDE)
    pairs = with_masks(one_of_each_lesion(load_dataset(data).records, count), preprocess)
    records, masks = [record for record, _ in pairs], [mask for _, mask in pairs]
    cache = PreprocessCache(default_cache_folder())
    images = cache.load([record.path for record in records], preprocess).images
    classifier = initial_classifier(
        ModelSettings(("a", "b"), backbone=backbone, image_size=SIDE), weights, seed=0
    )
    fitted, chosen = round(0.6 * len(records)), round(0.75 * len(records))
    sums = sum_up_images(classifier, images[:fitted], masks[:fitted])
    finder = LesionFinder.of(sums, weights_digest(to_flat(classifier)))
    reports = {}
    for name, place in (("choices", slice(fitted, chosen)), ("test", slice(chosen, None))):
        found, lesions = (
            list(find_lesions(classifier, finder, images[place])),
            [one.group for one in records[place]],
        )
        of = {name: lambda one, image: pixel_shares(one.shares, image)}
        for row, scores in (of | (null_scores(masks[:fitted]) if name == "test" else {})).items():
            reports[row] = report(found, images[place], masks[place], lesions, scores)
    return reports


def lines(reports: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """A line for each measure of each report, and one for its number of images; the nulls have no outline."""
    return [
        {"of": name, "figure": measure, "mean": found[measure]["mean"]}
        | {end: (found[measure]["interval"] or {}).get(end) for end in ("low", "high")}
        for name, found in reports.items()
        for measure in MEASURES
        if name in ("choices", "test") or "precision" in measure
    ] + [
        {"of": name, "figure": number, "mean": reports[name][number]}
        for name in ("choices", "test")
        for number in ("images", "nothing_found")
    ]


def table(reports: dict[str, dict[str, Any]]) -> Table:
    """The means of the measures; the nulls have no outline."""
    shown = Table("Images", "Number", *MEASURES, "nothing found", title="Lesion finder")
    for name, found in reports.items():
        own = name in ("choices", "test")
        cells = [
            f"{found[measure]['mean']:.3f}" if own or "precision" in measure else "" for measure in MEASURES
        ]
        shown.add_row(name, str(found["images"]), *cells, str(found["nothing_found"]) if own else "")
    return shown


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("weights")
    parser.add_argument("--backbone", default="EfficientNetV2B0")
    parser.add_argument("--images", type=int, default=900)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    reports = measure(asked.data, asked.weights, asked.backbone, asked.images)
    if asked.json:
        print(json.dumps({"table": lines(reports)}, indent=1))
    else:
        Console().print(table(reports))


if __name__ == "__main__":
    main()
