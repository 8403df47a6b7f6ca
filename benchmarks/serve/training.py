"""A clinic's training while its node serves: the project's trainer, round after round.

    python -m benchmarks.serve.training MODEL

prints a line after each round, and ends when its standard input closes.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

IMAGES = 64


def train(model: Path) -> None:
    """Trains from a model's weights without an end; the images are noise, which takes the same time."""
    from dermafed.shared.model.classifier import to_flat
    from dermafed.shared.model.model_file import load_model
    from dermafed.shared.process import end_with_parent, lower_priority
    from dermafed.shared.training.backend import configure_backend
    from dermafed.shared.training.data import LabelledImages
    from dermafed.shared.training.keras_trainer import KerasTrainer
    from dermafed.shared.training.recipe import Recipe

    end_with_parent()
    lower_priority()  # as the node's worker does
    configure_backend(1)
    classifier, info = load_model(model)
    rng, side, classes = np.random.default_rng(0), info.model.image_size, len(info.model.classes)
    pixels = rng.integers(0, 256, (IMAGES, side, side, 3), dtype=np.uint8)
    images = LabelledImages(pixels, np.arange(IMAGES, dtype=np.int64) % classes)
    rounds = 10**6
    recipe = Recipe(epochs=1, batch_size=32, learning_rate=1e-3)
    trainer = KerasTrainer(
        info.model,
        recipe,
        train=images,
        validation=images,
        rounds=rounds,
        seed=0,
    )
    weights = to_flat(classifier)
    for number in range(1, rounds):
        weights = trainer.train(weights, number, {}).weights
        print("round", number, flush=True)


@contextmanager
def training(model: str) -> Iterator[None]:
    """A training process, from the end of its first round on."""
    command = [sys.executable, "-m", "benchmarks.serve.training", model]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin
    assert process.stdout
    try:
        if not process.stdout.readline():
            sys.exit("The training did not start")
        yield
    finally:
        process.kill()
        process.communicate()


if __name__ == "__main__":
    train(Path(sys.argv[1]))
