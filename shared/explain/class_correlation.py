"""How alike the maps of all classes of one image are: where they are one picture, a map explains no class."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from dermafed.shared.explain.maps import Float, to_unit
from dermafed.shared.explain.network import Target

LARGEST_CORRELATION = 0.95
"""Maps that all correlate by more than this are one picture to the eye."""

MOST_CLASSES = 8
"""So many classes are compared, the most probable ones."""

SIDE = 56
"""Pixels a side of the maps compared: enough for maps of some 7 x 7 cells, enlarged."""

MapOf = Callable[[Float], Float]
"""What to explain, as weights of the classes (C,), to the method's map, float32 (SIDE, SIDE)."""


def compared_classes(probabilities: Float) -> NDArray[np.intp]:
    """The most probable classes, in order of number.

    Args:
        probabilities: of an image, (C,).
    """
    return np.sort(np.argsort(-probabilities, kind="stable")[:MOST_CLASSES])


def class_correlation(map_of: MapOf, probabilities: Float, signed: bool = False) -> float | None:
    """The least Pearson correlation between any two maps of an image.

    The maps are those of each of :func:`compared_classes`, and of each of them rather than another: all that
    a reader can ask for. Of two maps that are zero everywhere r is 1; of a map and one that is zero, 0. Of
    signed maps only those of the classes count: one class rather than another is always the opposite of the
    other rather than the one.

    Args:
        map_of: the method's maps.
        probabilities: of the image, (C,).
        signed: whether the maps are.

    Returns:
        r in [-1, 1]; ``None`` for a model of one class, which has nothing to compare.
    """
    if len(probabilities) < 2:
        return None
    maps = np.stack([to_unit(map_of(weights)).ravel() for weights in _questions(probabilities, signed)])
    centred = maps - maps.mean(axis=1, keepdims=True, dtype=np.float64)
    lengths = np.linalg.norm(centred, axis=1)
    empty = lengths == 0
    correlations = centred @ centred.T / np.maximum(np.outer(lengths, lengths), np.finfo(float).tiny)
    correlations[np.ix_(empty, empty)] = 1
    return float(np.clip(correlations.min(), -1, 1))


def _questions(probabilities: Float, signed: bool) -> Iterator[Float]:
    classes = compared_classes(probabilities).tolist()
    for index in classes:
        yield Target(index).one_hot(len(probabilities))
    for index, against in () if signed else permutations(classes, 2):
        yield Target(index, against).one_hot(len(probabilities))
