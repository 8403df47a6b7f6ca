"""What about an image makes its diagnosis less sure, measured on a copy whose shorter side has 256 pixels.

Thresholds were chosen on dermoscopic images of HAM10000 and ISIC 2017; ``docs/bad-input.md`` says how often
each is crossed, and how often rightly.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from dermafed.client.clinic.intake.marks import dark_lines, has_hair, has_ink, has_ruler
from dermafed.client.clinic.intake.received import Caution

SIDE = 256  # pixels of the shorter side, at which all is measured
SMALL = 224  # what the networks see at least

_FINE, _MIDDLE, _COARSE = 0.8, 1.6, 3.2  # pixels: the scales between which detail is compared
_BLURRED, _EMPTY = -0.6, 0.45  # log of fine detail over coarse; levels of coarse detail
_DARK, _BRIGHT, _CLIPPED = 112, 250, 0.05  # levels; share of the view
_UNLIT = 40  # level: the tube around a round view
_GRAY = 6  # levels between the colours of a pixel

TEXTS = {
    "small": "The picture is small: details that the model looks for may be missing.",
    "blur": "The picture looks blurred.",
    "dark": "The picture is dark.",
    "bright": "Parts of the picture are too bright to show any detail.",
    "gray": "The picture has no colour; the model was trained on colour pictures.",
    "ink": "There seem to be coloured marks, such as ink or a sticker; they can mislead the model.",
    "ruler": "There seems to be a ruler; it can mislead the model.",
    "hair": "There seems to be much hair over the skin; it can hide parts of the lesion.",
}


def assess(image: NDArray[np.uint8]) -> tuple[Caution, ...]:
    """Looks for what makes a diagnosis less sure; some 20 ms for 6 megapixels.

    Args:
        image: RGB uint8 (H, W, 3).

    Returns:
        Cautions, in the order of ``TEXTS``.
    """
    rgb = _reduced(image)
    gray = np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), np.uint8)
    view = _view(gray)
    lines = dark_lines(gray) * view
    found = {
        "small": min(image.shape[:2]) < SMALL,
        "blur": _is_blurred(gray),
        "dark": np.percentile(gray[view], 90) < _DARK,
        "bright": (gray[view] >= _BRIGHT).mean() > _CLIPPED,
        "gray": _is_gray(rgb),
        "ink": has_ink(rgb, view),
        "ruler": has_ruler(lines),
        "hair": has_hair(lines),
    }
    return tuple(Caution(code, text) for code, text in TEXTS.items() if found[code])


def _reduced(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """By averaging; in halves first, which is several times faster."""
    height, width = image.shape[:2]
    if min(height, width) <= SIDE:
        return np.ascontiguousarray(image)
    if min(height, width) >= 2 * SIDE:
        return _reduced(_resized(image[: height // 2 * 2, : width // 2 * 2], height // 2, width // 2))
    scale = SIDE / min(height, width)
    return _resized(image, max(SIDE, round(height * scale)), max(SIDE, round(width * scale)))


def _resized(image: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def _view(gray: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """What is lit, hair and all: without the tube's wall around it; everything, if hardly anything is."""
    lit = cv2.morphologyEx((gray > _UNLIT).astype(np.uint8), cv2.MORPH_CLOSE, np.ones((11, 11), np.uint8))
    view = np.asarray(cv2.erode(lit, np.ones((9, 9), np.uint8)), np.bool_)
    return view if view.mean() > 0.1 else np.ones_like(view)


def _is_gray(rgb: NDArray[np.uint8]) -> bool:
    red, green, blue = cv2.split(rgb)
    coloured = np.maximum(cv2.absdiff(red, green), cv2.absdiff(green, blue)) >= _GRAY
    return bool(coloured.mean() < 0.01)


def _is_blurred(gray: NDArray[np.uint8]) -> bool:
    """Whether fine detail is weak beside coarse, or there is hardly any: blur removes the finer first.

    Upper quartiles, so that neither bare skin nor a few strong edges decide.
    """
    top, left = gray.shape[0] // 8, gray.shape[1] // 8
    middle = gray.astype(np.float32)
    fine, medium, coarse = (
        np.asarray(cv2.GaussianBlur(middle, (0, 0), scale))[top : top * 7, left : left * 7]
        for scale in (_FINE, _MIDDLE, _COARSE)
    )
    finer, coarser = np.percentile(np.abs(fine - medium), 75), np.percentile(np.abs(medium - coarse), 75)
    return bool(coarser < _EMPTY or np.log((finer + 0.05) / (coarser + 0.05)) < _BLURRED)
