"""Find what makes an image's diagnosis less sure: blur, light, ink, rulers, hair; on a copy of 256 pixels.

Thresholds were chosen on dermoscopic images of HAM10000 and ISIC 2017; ``docs/bad-input.md`` says how often
each is crossed, and how often rightly.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

SIDE = 256  # pixels of the shorter side, at which all is measured
SMALL = 224  # what the networks see at least

_FINE, _MIDDLE, _COARSE = 0.8, 1.6, 3.2  # pixels: the scales between which detail is compared
_BLURRED, _EMPTY = -0.6, 0.45  # log of fine detail over coarse; levels of coarse detail
_DARK, _BRIGHT, _CLIPPED = 112, 250, 0.05  # levels; share of the view
_UNLIT = 40  # level: the tube around a round view
_GRAY = 6  # levels between the colours of a pixel

_LENGTH = 11  # pixels: wider than a hair
_HAIR_DARKER, _HAIR_LONG, _HAIR_WIDE, _HAIRY = 18, 28, 5, 0.021  # levels, pixels, pixels, share of the image
_LINE_DARKER, _LINE_LONG, _LINES = 12, 60, 12  # levels, pixels, how many are examined
_POINTS = 512  # of the Fourier transform
_LONGEST, _SHORTEST, _TICKS = 12.0, 3.5, 9  # pixels between ticks; how many at least
_RHYTHM = 0.72  # share of what varies along a ruler that its ticks explain
_HUES, _SATURATED, _LIT, _LESS_YELLOW = (38, 155), 50, 70, 14  # OpenCV's half degrees; levels
_INKED = 0.003  # share of the view

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


@dataclass(frozen=True, slots=True)
class Caution:
    """Something about an image that makes its diagnosis less sure; it is shown, and stops nothing.

    Attributes:
        code: for machines: ``small``, ``blur``, ``dark``, ``bright``, ``gray``, ``ink``, ``ruler``, ``hair``,
            ``profile`` or ``filing``.
        text: for people, a sentence.
    """

    code: str
    text: str


def assess(image: NDArray[np.uint8]) -> tuple[Caution, ...]:
    """Find what makes a diagnosis less sure; some 20 ms for 6 megapixels.

    Args:
        image: RGB uint8 (H, W, 3).

    Returns:
        Cautions, in the order of ``TEXTS``.
    """
    rgb = _reduced(image)
    gray = np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), np.uint8)
    view = _view(gray)
    lines = _dark_lines(gray) * view
    found = {
        "small": min(image.shape[:2]) < SMALL,
        "blur": _is_blurred(gray),
        "dark": np.percentile(gray[view], 90) < _DARK,
        "bright": (gray[view] >= _BRIGHT).mean() > _CLIPPED,
        "gray": _is_gray(rgb),
        "ink": _has_ink(rgb, view),
        "ruler": _has_ruler(lines),
        "hair": _has_hair(lines),
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


def _dark_lines(gray: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """How much darker a thin dark line is than what lies beside it: DullRazor's closings (Lee et al. 1997),
    along lines of four directions.
    """
    slope = np.eye(_LENGTH, dtype=np.uint8)
    kernels = (slope, slope[:, ::-1].copy(), slope[:1] | 1, slope[:, :1] | 1)
    hats = [cv2.morphologyEx(gray, cv2.MORPH_BLACKHAT, kernel) for kernel in kernels]
    return np.asarray(np.maximum.reduce(hats), np.uint8)


def _has_hair(lines: NDArray[np.uint8]) -> bool:
    """Whether much of the image is dark lines that are long and thin, from :func:`_dark_lines`."""
    dark = (lines > _HAIR_DARKER).astype(np.uint8)
    _, _, parts, _ = cv2.connectedComponentsWithStats(dark, connectivity=8)
    sides, areas = parts[1:, 2:4], parts[1:, 4]
    length = np.hypot(sides[:, 0], sides[:, 1])
    hair = areas[(length > _HAIR_LONG) & (areas < _HAIR_WIDE * length)]
    return bool(hair.sum() > _HAIRY * lines.size)


def _has_ruler(lines: NDArray[np.uint8]) -> bool:
    """Whether ticks stand at equal distances along one of the longest straight dark lines."""
    dark = (lines > _LINE_DARKER).astype(np.uint8) * 255
    found = cv2.HoughLinesP(dark, 1, np.pi / 180, 45, minLineLength=_LINE_LONG, maxLineGap=4)
    if found is None:
        return False
    ends = found.reshape(-1, 2, 2).astype(np.float32)
    longest = np.argsort(-np.linalg.norm(ends[:, 1] - ends[:, 0], axis=1), kind="stable")[:_LINES]
    return any(_rhythm(lines, *ends[line]) > _RHYTHM for line in longest)


def _has_ink(rgb: NDArray[np.uint8], view: NDArray[np.bool_]) -> bool:
    """Whether there is green, blue or violet far from the skin's colour, and more of it outside than in the
    middle, where a blue lesion would be.
    """
    hue, saturation, value = cv2.split(cv2.cvtColor(rgb, cv2.COLOR_RGB2HSV))
    yellow = cv2.cvtColor(rgb, cv2.COLOR_RGB2LAB)[..., 2].astype(np.int16)
    coloured = (hue > _HUES[0]) & (hue < _HUES[1]) & (saturation > _SATURATED) & (value > _LIT)
    ink = coloured & view & (yellow < np.median(yellow[view]) - _LESS_YELLOW)
    height, width = view.shape
    down, across = np.ogrid[-0.5 : 0.5 : height * 1j, -0.5 : 0.5 : width * 1j]
    outer = down**2 + across**2 > 1 / 16
    return bool(ink[outer].sum() > _INKED * view.sum() and ink[outer].mean() > ink[~outer].mean())


def _rhythm(lines: NDArray[np.uint8], start: NDArray[np.float32], end: NDArray[np.float32]) -> float:
    """How regular the ticks beside a line are: 0 to 1."""
    beside = _beside(lines, start, end)
    power = np.abs(np.fft.rfft(beside, _POINTS, axis=1)) ** 2
    whole = power[:, _POINTS // 25 :].sum(axis=1) + 1e-3
    length = beside.shape[1]
    first = int(max(_POINTS / _LONGEST, _TICKS * _POINTS / length))
    waves = np.arange(first, int(_POINTS / _SHORTEST))
    if not len(waves):
        return 0.0
    width = round(1.5 * _POINTS / length)
    sums = np.cumsum(np.pad(power, ((0, 0), (1, 0))), axis=1)

    def around(wave: NDArray[np.intp]) -> NDArray[np.float64]:
        last = sums.shape[1] - 1
        return np.asarray(
            sums[:, np.minimum(wave + width + 1, last)] - sums[:, np.minimum(wave - width, last)]
        )

    ticks = around(waves) + np.where(2 * waves < _POINTS // 2 - width, around(2 * waves), 0)
    strength = np.minimum(1, np.sqrt(whole / length / _POINTS) * 10 / 16)
    return float((ticks / whole[:, None] * strength[:, None]).max())


def _beside(
    lines: NDArray[np.uint8], start: NDArray[np.float32], end: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Profiles along a line, two to seven pixels to either side; their slow changes taken out."""
    length = float(np.linalg.norm(end - start))
    across = (end - start) / length
    along = np.arange(-10, length + 10)
    sides = np.array([side for side in range(-7, 8) if abs(side) > 1])[:, None]
    x = start[0] + along * across[0] - sides * across[1]
    y = start[1] + along * across[1] + sides * across[0]
    profiles = cv2.remap(
        lines.astype(np.float32), x.astype(np.float32), y.astype(np.float32), cv2.INTER_LINEAR
    )
    profiles = np.minimum(profiles, 40)
    return np.asarray((profiles - cv2.blur(profiles, (21, 1))) * np.hanning(profiles.shape[1]), np.float32)
