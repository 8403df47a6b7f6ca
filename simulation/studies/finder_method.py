"""The lesion finder's map as a method of explanation: where the lesion is, whatever the class."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np

from dermafed.shared.explain.maps import Contrast, Heatmap, Image, enlarge
from dermafed.shared.explain.quality.method_quality import MeasuredMethod
from dermafed.shared.lesion_finder.finder import LesionFinder
from dermafed.shared.lesion_finder.finder_file import load_finder
from dermafed.shared.lesion_finder.finder_graph import shares_tensor
from dermafed.shared.model.classifier import to_flat
from dermafed.shared.model.weights_digest import weights_digest
from dermafed.shared.training.predict import apply_in_batches


def finder_method(file: Path, model: keras.Model, shuffled: keras.Model) -> MeasuredMethod | None:
    """The map of the finder beside a model, of the model and of the same with shuffled weights.

    Args:
        file: the model's file.
        model: the same model, read.
        shuffled: see :func:`dermafed.shared.explain.quality.randomisation.randomised`.

    Returns:
        ``None`` where there is no finder.

    Raises:
        ModelError: the finder is damaged, or of another model.
    """
    finder = load_finder(file, weights_digest(to_flat(model)))
    return None if finder is None else MeasuredMethod(_shares(model, finder), _shares(shuffled, finder))


def _shares(model: keras.Model, finder: LesionFinder) -> Contrast:
    network = keras.Model(model.inputs, shares_tensor(model, finder))

    def explain(image: Image, target: int, against: int | None) -> Heatmap:
        cells = apply_in_batches(network, image[None])[0].astype(np.float64)
        return enlarge(cells, image.shape[:2])

    return explain
