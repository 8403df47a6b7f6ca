"""The maps without knowledge of a data set, from the masks of its training images."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from dermafed.shared.explain.quality.nulls import Nulls, fit_nulls
from dermafed.shared.imaging.lesion_masks import lesion_mask
from dermafed.shared.imaging.preprocess_settings import PreprocessSettings
from dermafed.shared.lesions.record import LesionRecord

MASKS = 100
"""How many masks are read at most, evenly spaced."""


def nulls_of(records: Iterable[LesionRecord], preprocess: PreprocessSettings) -> Nulls | None:
    """Fit the nulls to some of the records' masks.

    Args:
        records: of other images than those that are scored.
        preprocess: how the images are prepared.

    Returns:
        ``None`` where no record has a mask with a lesion.

    Raises:
        ImageError: a mask cannot be read.
    """
    paths = [record.mask for record in records if record.mask is not None]
    places = np.linspace(0, len(paths) - 1, min(MASKS, len(paths))).astype(int)
    masks = [lesion_mask(paths[place], preprocess) for place in places]
    lesions = [mask for mask in masks if mask.any()]
    return fit_nulls(lesions) if lesions else None
