"""Maps that know nothing of their image, which any method must beat: a blob, the mean mask, another's map.

A narrow blob has more of its energy in the lesion than a wide one, so the blob is given the width that suits
the measure best. Width and mean mask come from other images than those that are scored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dermafed.shared.explain.maps import Float, Heatmap
from dermafed.shared.explain.quality.localisation import Mask, box_overlap, energy_pointing

WIDTHS = (0.4, 0.3, 0.25, 0.2, 0.15, 0.1, 0.05)
"""Standard deviations of the blob, in sides of the image. All of them rank the pixels alike."""

MEASURES_OF_WIDTH: Mapping[str, Callable[[Heatmap, Mask], float]] = {
    "pointing": lambda heatmap, mask: energy_pointing(heatmap, mask).energy,
    "box_overlap": box_overlap,
}
"""The measures that depend on a blob's width, by name. Pixel precision depends on the ranking alone."""


@dataclass(frozen=True, slots=True, eq=False)
class Nulls:
    """What is known of lesions without looking at the image.

    Attributes:
        widths: for each measure of :data:`MEASURES_OF_WIDTH` the blob's best width.
        mean_mask: mean of the masks, float32 (S, S) in [0, 1].
    """

    widths: Mapping[str, float]
    mean_mask: Float

    def blob(self, measure: str | None = None) -> Heatmap:
        """The blob for a measure; the widest for one that does not depend on the width."""
        return blob(len(self.mean_mask), WIDTHS[0] if measure is None else self.widths[measure])


def blob(side: int, width: float) -> Heatmap:
    """A Gaussian in the middle of the image.

    Args:
        side: S, pixels.
        width: standard deviation, in sides.

    Returns:
        float32 (S, S) in [0, 1].
    """
    place = ((np.arange(side) + 0.5) / side - 0.5) / width
    return np.exp(-(place[:, None] ** 2 + place**2) / 2).astype(np.float32)


def fit_nulls(masks: Sequence[NDArray[np.bool_]]) -> Nulls:
    """The mean mask, and for each measure the width of the blob that has the best mean over the masks.

    Args:
        masks: bool (S, S) each, true on the lesion somewhere; of other images than those to be scored.

    Raises:
        ValueError: there is no mask.
    """
    if not masks:
        raise ValueError("there are no masks to fit the nulls to")
    blobs = {width: blob(len(masks[0]), width) for width in WIDTHS}

    def best(measure: Callable[[Heatmap, Mask], float]) -> float:
        return max(WIDTHS, key=lambda width: sum(measure(blobs[width], mask) for mask in masks))

    widths = {name: best(measure) for name, measure in MEASURES_OF_WIDTH.items()}
    return Nulls(widths, np.stack(masks).mean(axis=0, dtype=np.float64).astype(np.float32))


def of_another_image(heatmaps: Sequence[Heatmap]) -> list[Heatmap]:
    """For each image the map of the next one: a method that looks at the image loses by it."""
    return [*heatmaps[1:], *heatmaps[:1]]
