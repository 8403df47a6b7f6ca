"""Deletion within the lesion: the map's top cells against as many random cells of the same lesion.

Deletion over the whole image is passed by any map that covers the lesion. Here map and control remove equally
many cells of the same lesion, so it counts only which of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dermafed.shared.explain.maps import Float, Heatmap, Image, Predict, checked_heatmap
from dermafed.shared.explain.quality.localisation import Mask
from dermafed.shared.explain.quality.removal import REMOVALS

GRID = 14
"""Cells a side."""
REMOVED = 0.25
"""Share of the lesion's cells that is removed."""
DRAWS = 8
"""Random choices that the map's is compared with."""
FEWEST_CELLS = 4
"""A lesion of fewer cells is left out: a quarter of it would be none."""

_CERTAIN = 1e-6  # a probability nearer to 0 or 1 is float32's rounding

Cells = NDArray[np.intp]


def lesion_drops(
    predict: Predict, image: Image, heatmap: Heatmap, target: int, mask: Mask, *, seed: int = 0
) -> dict[str, float]:
    """How far the class's log-odds fall when a quarter of the lesion is removed: by the map, and at random.

    Log-odds, since a network that is sure keeps a probability of 1 whatever it loses.

    Args:
        predict: the classifier; called once, for 28 images.
        image: uint8 (S, S, 3).
        heatmap: float32 (S, S) in [0, 1]; a cell counts as its mean. Equal cells are taken at random.
        target: index of the class.
        mask: the lesion, bool (S, S).
        seed: seed of the random choices; the same cells for every map and every removal.

    Returns:
        For each of :data:`REMOVALS` the drops ``lesion_drop_NAME`` and ``lesion_drop_NAME_random``, the mean
        over :data:`DRAWS` choices. Empty for a lesion of too few cells; without a removal that the image does
        not have.

    Raises:
        ValueError: the map does not fit the image.
    """
    cell = _cell_of_pixel(len(image))
    inside = _cells_of_lesion(cell, mask)
    if len(inside) < FEWEST_CELLS:
        return {}
    random = np.random.default_rng(seed)
    shuffled = [random.permutation(inside) for _ in range(DRAWS + 1)]
    means = _means_by_cell(cell, checked_heatmap(heatmap, image))
    by_map = shuffled[0][np.argsort(-means[shuffled[0]], kind="stable")]
    count = round(REMOVED * len(inside))
    removed = [np.isin(cell, order[:count]) for order in (by_map, *shuffled[1:])]
    fills = {name: fill for name, removal in REMOVALS.items() if (fill := removal(image, mask)) is not None}
    scores = _log_odds(predict(_frames(image, removed, fills.values()))[:, target])
    drops = (scores[0] - scores[1:]).reshape(len(fills), DRAWS + 1)
    return {
        key: float(value)
        for name, own in zip(fills, drops, strict=True)
        for key, value in ((f"lesion_drop_{name}", own[0]), (f"lesion_drop_{name}_random", own[1:].mean()))
    }


def drop_ratios(scores: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """How many times further the score falls by the map's cells than by random ones, over all images.

    Args:
        scores: of each image, with or without the drops of :func:`lesion_drops`.

    Returns:
        ``lesion_deletion_NAME`` for each removal: the ratio of the mean drops, 1 for a map that knows nothing
        within the lesion. None where the score does not fall by random cells.
    """
    listed, found = list(scores), {}
    for name in REMOVALS:
        own = [score for score in listed if f"lesion_drop_{name}" in score]
        chance = sum(score[f"lesion_drop_{name}_random"] for score in own)
        if chance > 0:
            found[f"lesion_deletion_{name}"] = sum(score[f"lesion_drop_{name}"] for score in own) / chance
    return found


def _cell_of_pixel(side: int) -> Cells:
    place = np.arange(side) * GRID // side
    return place[:, None] * GRID + place


def _means_by_cell(cell: Cells, values: NDArray[Any]) -> NDArray[np.float64]:
    """The mean of (S, S) in each cell; 0 in a cell without pixels, of an image smaller than the grid."""
    pixels = np.bincount(cell.ravel())
    return np.asarray(np.bincount(cell.ravel(), values.ravel()) / np.maximum(pixels, 1))


def _cells_of_lesion(cell: Cells, mask: Mask) -> Cells:
    """The cells that are lesion by half or more."""
    return np.flatnonzero(_means_by_cell(cell, mask) >= 0.5)


def _frames(image: Image, removed: Iterable[Mask], fills: Iterable[Float]) -> Float:
    """The whole image, and for each fill the image without each of the removed parts."""
    whole, parts = image.astype(np.float32), list(removed)
    return np.stack([whole, *(np.where(part[..., None], fill, whole) for fill in fills for part in parts)])


def _log_odds(probabilities: Float) -> NDArray[np.float64]:
    p = np.clip(probabilities.astype(np.float64), _CERTAIN, 1 - _CERTAIN)
    return np.asarray(np.log(p / (1 - p)))
