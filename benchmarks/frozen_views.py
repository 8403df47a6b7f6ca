"""What saved features of frozen blocks save: a clinic's rounds with views and without, in turn.

    python -m benchmarks.frozen_views [--images 100] [--backbone EfficientNetV2B0] [--repeats 3] [--json]

One clinic of drawn lesions, 128 pixels, four frozen blocks, four views, one thread, random first weights. A
round is one pass over the images. Both kinds take turns, so that what else the machine does slows both.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from dermafed.shared.imaging.preprocess_settings import PreprocessSettings
from dermafed.shared.lesions.readers.loading import load_dataset
from dermafed.shared.model.classifier import build_classifier, to_flat
from dermafed.shared.model.model_settings import ModelSettings
from dermafed.shared.training.backend import configure_backend
from dermafed.shared.training.data import LabelledImages, load_labelled
from dermafed.shared.training.feature_store import FeatureStore
from dermafed.shared.training.keras_trainer import KerasTrainer
from dermafed.shared.training.recipe import Recipe
from dermafed.shared.training.trainer import FloatVector
from dermafed.simulation.synthetic.clinics import DEFAULT_CLINICS
from dermafed.simulation.synthetic.dataset import generate_dataset

VIEWS, SIDE, FROZEN = 4, 128, 4
ROUNDS = 1000  # of the run that the rounds belong to


def drawn(folder: Path, images: int, model: ModelSettings) -> LabelledImages:
    """One clinic's drawn lesions."""
    profile = replace(DEFAULT_CLINICS[0], images=images)
    generate_dataset(folder, profiles=[profile], seed=0, image_size=SIDE)
    preprocess = PreprocessSettings(image_size=SIDE, denoise="none")
    return load_labelled(load_dataset(folder).records, model, preprocess)


def clock(work: Callable[[], Any]) -> dict[str, float]:
    """Wall and CPU seconds of some work."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}


def measure(backbone: str, images: int, repeats: int, folder: Path) -> dict[str, Any]:
    """CPU and wall seconds of a round, and of the views' features, which are computed once."""
    model = ModelSettings(
        ("melanoma", "nevus", "seborrheic_keratosis"),
        backbone=backbone,  # type: ignore[arg-type]
        image_size=SIDE,
        frozen_blocks=FROZEN,
    )
    data, weights = drawn(folder / "drawn", images, model), to_flat(build_classifier(model))
    store = FeatureStore(folder / "cache")
    trainers = {views: _trainer(model, views, data, store) for views in (0, VIEWS)}
    _trace(model, data, folder, weights)
    first = clock(lambda: trainers[VIEWS].train(weights, 1, {}))
    trainers[0].train(weights, 1, {})
    rounds: dict[int, list[dict[str, float]]] = {0: [], VIEWS: []}
    for number in range(2, 2 + repeats):
        for views, trainer in trainers.items():
            rounds[views].append(clock(partial(trainer.train, weights, number, {})))
    result = {
        kind: {
            "without": median(one[kind] for one in rounds[0]),
            "with": median(one[kind] for one in rounds[VIEWS]),
            "once": first[kind] - median(one[kind] for one in rounds[VIEWS]),
        }
        for kind in ("cpu", "wall")
    }
    size = sum(path.stat().st_size for path in (folder / "cache" / "features").iterdir())
    return {
        "backbone": backbone,
        "images": images,
        "seconds": result,
        "mb": size / 1e6,
        "load": os.getloadavg()[0],
    }


def _trainer(model: ModelSettings, views: int, data: LabelledImages, store: FeatureStore) -> KerasTrainer:
    recipe = Recipe(epochs=1, views=views)
    return KerasTrainer(model, recipe, train=data, validation=data, rounds=ROUNDS, seed=0, store=store)


def _trace(model: ModelSettings, data: LabelledImages, folder: Path, weights: FloatVector) -> None:
    """Compile the networks, on a clinic of a few images."""
    few = LabelledImages(data.images[:16], data.labels[:16])
    for views in (0, VIEWS):
        _trainer(model, views, few, FeatureStore(folder / "few")).train(weights, 1, {})


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--images", type=int, default=100, help="training images of the clinic")
    parser.add_argument(
        "--backbone", default="EfficientNetV2B0", help="an EfficientNet of keras.applications"
    )
    parser.add_argument("--repeats", type=int, default=3, help="rounds of each kind")
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    options = parser.parse_args()
    configure_backend(1)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["DERMAFED_CACHE"] = f"{folder}/cache"
        found = measure(options.backbone, options.images, options.repeats, Path(folder))
    print(json.dumps(found)) if options.json else _print(found)


def _print(found: dict[str, Any]) -> None:
    title = f"{found['backbone']}, {found['images']} images; {found['mb']:.1f} MB; load {found['load']:.1f}"
    table = Table("seconds of a pass", "without views", "with", "ratio", "once, for 4 views", title=title)
    for kind, one in found["seconds"].items():
        ratio = one["without"] / one["with"]
        numbers = (f"{one[name]:.2f}" for name in ("without", "with"))
        table.add_row(kind, *numbers, f"{ratio:.2f}", f"{one['once']:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
