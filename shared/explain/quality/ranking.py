"""The order in which a map ranks the pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dermafed.shared.explain.quality.interfaces import Heatmap

_GRID = 7  # tiles a side, as many as the cells of the classifiers' last maps
_STRIDE = 18  # of those that visit every tile, the one that treats quarters and centre most evenly


def ranking(heatmap: Heatmap) -> NDArray[np.intp]:
    """Pixels from the most to the least important.

    Equal pixels go tile by tile, 7 x 7 tiles in a fixed order that jumps about the image, row by row within a
    tile. So a constant map removes regions of a real map's size from anywhere, and gets chance level. Other
    orders are not fair: from the centre, a map that says nothing would be right about dermoscopy's centred
    lesions; from the border, worse than chance; single pixels at random riddle the whole image with holes,
    which upsets a network more than the removal of any region.

    Args:
        heatmap: float32 (H, W), finite.

    Returns:
        int (H * W,), indices into the flattened map; the same map gives the same order on every machine.
    """
    rows, columns = np.indices(heatmap.shape)
    tile = rows * _GRID // heatmap.shape[0] * _GRID + columns * _GRID // heatmap.shape[1]
    turn = tile * _STRIDE % _GRID**2
    return np.lexsort((turn.ravel(), -heatmap.ravel()))
