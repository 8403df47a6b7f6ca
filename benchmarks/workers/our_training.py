"""Our training of one clinic: RECIPE (``default``, ``drawn``, ``full``), IMAGES.npy, FOLDER for the features.

``full`` trains every block, one pass over the images a round, without augmentation, as the peers do.
``default`` is the recipe of real images: four frozen blocks, whose features of four augmented views are
computed once, and 16 rounds of a quarter pass, all of which are measured, from an empty folder. ``drawn`` is
that of drawn images: all blocks are frozen, two views, and 10 rounds of one pass.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import numpy as np

from benchmarks.workers.answering import answer
from dermafed.shared.lesions.record import PAPER_CLASSES
from dermafed.shared.model.classifier import build_classifier, to_flat
from dermafed.shared.model.model_settings import ModelSettings
from dermafed.shared.process import cores
from dermafed.shared.training.backend import configure_backend
from dermafed.shared.training.data import LabelledImages
from dermafed.shared.training.feature_store import FeatureStore
from dermafed.shared.training.keras_trainer import KerasTrainer
from dermafed.shared.training.recipe import Recipe

BATCH, SECOND = 16, "images a second"
ROUNDS = {"default": 16, "drawn": 10, "full": 1}
RECIPES = {
    "default": Recipe(epochs=0.25, views=4, batch_size=BATCH),
    "drawn": Recipe(epochs=1, views=2, batch_size=BATCH),
    "full": Recipe(epochs=1, augment=False, batch_size=BATCH),
}
MODELS = {
    "default": {"frozen_blocks": 4, "features": "blocks"},
    "drawn": {"frozen_blocks": 7, "features": "blocks", "batch_norm": "frozen"},
    "full": {"frozen_blocks": 0, "batch_norm": "aggregate"},
}


def prepare() -> Callable[[], dict[str, float]]:
    recipe, path, folder = sys.argv[1:]
    pixels = np.load(path)
    configure_backend(cores())
    model = ModelSettings(PAPER_CLASSES, image_size=pixels.shape[1], **MODELS[recipe])  # type: ignore[arg-type]
    weights = to_flat(build_classifier(model))
    data = LabelledImages(pixels, np.arange(len(pixels), dtype=np.int64) % len(PAPER_CLASSES))
    few = LabelledImages(data.images[:BATCH], data.labels[:BATCH])
    runs = iter(range(1_000_000))

    def run(data: LabelledImages) -> dict[str, float]:
        trainer = KerasTrainer(
            model,
            RECIPES[recipe],
            train=data,
            validation=few,
            rounds=ROUNDS[recipe],
            seed=0,
            store=FeatureStore(Path(folder) / f"{recipe}-{next(runs)}"),
        )
        ends, at = [perf_counter()], weights
        for number in range(1, ROUNDS[recipe] + 1):
            at = trainer.train(at, number, {}).weights
            ends.append(perf_counter())
        a_round, rounds = RECIPES[recipe].epochs * len(data), len(ends) - 1
        figures = {SECOND: a_round * rounds / (ends[-1] - ends[0])}
        if rounds > 1:
            figures[f"{SECOND}, later rounds"] = a_round * (rounds - 1) / (ends[-1] - ends[1])
        return figures

    run(few)  # traces the network
    return lambda: run(data)


if __name__ == "__main__":
    answer(prepare)
