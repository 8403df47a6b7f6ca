"""A second view: the part of a photograph that a map points at, enlarged and predicted by the same network.

An explanation by itself changes no prediction. "CAM-guided" prediction means here: the map
gives a window, the network classifies that window too, and the two predictions are averaged. Guan et al.
2018, "Diagnose like a radiologist" (arXiv:1801.09927), use the box around the part of the map above a
threshold. Here the window has one size for all images, so that one laid at random, or in the middle, is a
fair control.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from dermafed.shared.explain.maps import Heatmap, Image
from dermafed.shared.imaging.pipeline import preprocess
from dermafed.shared.imaging.preprocess_settings import PreprocessSettings
from dermafed.shared.imaging.resize import resize

SIDE = 0.75
"""The window's side, as a share of the image's."""


@dataclass(frozen=True, slots=True)
class Window:
    """A square part of a square image, in shares of the image's side.

    Attributes:
        top: of its upper edge, from 0.
        left: of its left edge, from 0.
        side: in (0, 1]; the window lies within the image.
    """

    top: float
    left: float
    side: float = SIDE

    def cut(self, image: NDArray[Any]) -> NDArray[Any]:
        """The window's part of an image (S, S, ...), a pixel at least."""
        whole = len(image)
        side = max(1, round(self.side * whole))
        top, left = (min(round(edge * whole), whole - side) for edge in (self.top, self.left))
        return image[top : top + side, left : left + side]


def hottest_window(heatmap: Heatmap, side: float = SIDE) -> Window:
    """The window with the largest sum of the map; of equal ones the one in their middle.

    So a constant map gives the middle of the image.

    Args:
        heatmap: float32 (S, S) in [0, 1].
        side: of the window.
    """
    whole = len(heatmap)
    pixels = max(1, round(side * whole))
    sums = cv2.integral(heatmap.astype(np.float64))
    inside = (
        sums[pixels:, pixels:] - sums[:-pixels, pixels:] - sums[pixels:, :-pixels] + sums[:-pixels, :-pixels]
    )
    best = np.argwhere(inside >= inside.max() - 1e-9 * sums[-1, -1])
    top, left = best[np.square(best - best.mean(axis=0)).sum(axis=1).argmin()]
    return Window(top / whole, left / whole, side)


def central_window(side: float = SIDE) -> Window:
    """The window in the middle of the image."""
    return Window((1 - side) / 2, (1 - side) / 2, side)


def random_window(random: np.random.Generator, side: float = SIDE) -> Window:
    """A window anywhere in the image, every place as likely as another."""
    top, left = random.uniform(0, 1 - side, 2)
    return Window(float(top), float(left), side)


def second_view(photograph: Image, window: Window, settings: PreprocessSettings) -> Image:
    """What the network sees of a window, cut from the photograph: with detail that the first view lost.

    Args:
        photograph: RGB uint8 (H, W, 3), as it was taken.
        window: in the frame of the preprocessed image, where its map lies.
        settings: how the model's images are prepared; the window is prepared likewise.

    Returns:
        RGB uint8 (S, S, 3).
    """
    whole = min(photograph.shape[:2]) if settings.fit == "crop" else max(photograph.shape[:2])
    frame = resize(photograph, whole, settings.fit)
    return preprocess(window.cut(frame), settings).image
