"""The lesion masks of a clinic's records, in the frame of its preprocessed images."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dermafed.shared.imaging.lesion_masks import Mask, usable_mask
from dermafed.shared.imaging.preprocess_settings import PreprocessSettings
from dermafed.shared.lesion_finder.images import cell_shares
from dermafed.shared.lesions.record import LesionRecord
from dermafed.shared.model.cells import grid_of

log = logging.getLogger("dermafed.client")


def with_masks(
    records: Sequence[LesionRecord], preprocess: PreprocessSettings
) -> list[tuple[LesionRecord, Mask]]:
    """The records whose mask can be used, with it, in the preprocessed image's frame, bool (S, S).

    Raises:
        ImageError: an image or a mask cannot be read.
    """
    masked = [(record, record.mask) for record in records if record.mask is not None]
    found = [(record, usable_mask(record.path, mask, preprocess)) for record, mask in masked]
    usable = [(record, mask) for record, mask in found if mask is not None]
    if len(usable) < len(masked):
        log.warning(
            "%d of %d lesion masks are not used: no lesion in them, or not the proportions of their images",
            *(len(masked) - len(usable), len(masked)),
        )
    return usable


def lesion_shares(
    records: Sequence[LesionRecord], preprocess: PreprocessSettings
) -> NDArray[np.float32] | None:
    """How much of each cell of each image is lesion, float32 (N, G, G); 0 where there is no usable mask.

    Returns:
        ``None`` where no image has one.

    Raises:
        ImageError: an image or a mask cannot be read.
    """
    grid = grid_of(preprocess.image_size)
    found = {record.path: cell_shares(mask, grid) for record, mask in with_masks(records, preprocess)}
    without = np.zeros((grid, grid), np.float32)
    return np.stack([found.get(record.path, without) for record in records]) if found else None
