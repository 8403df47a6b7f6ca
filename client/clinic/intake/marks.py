"""What is not skin: ink and stickers, rulers, hair. Images here have a shorter side of 256 pixels or less."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

_LENGTH = 11  # pixels: wider than a hair
_HAIR_DARKER, _HAIR_LONG, _HAIR_WIDE, _HAIRY = 18, 28, 5, 0.021  # levels, pixels, pixels, share of the image
_LINE_DARKER, _LINE_LONG, _LINES = 12, 60, 12  # levels, pixels, how many are looked at
_POINTS = 512  # of the Fourier transform
_LONGEST, _SHORTEST, _TICKS = 12.0, 3.5, 9  # pixels between ticks; how many at least
_RHYTHM = 0.72  # share of what varies along a ruler that its ticks explain
_HUES, _SATURATED, _LIT, _LESS_YELLOW = (38, 155), 50, 70, 14  # OpenCV's half degrees; levels
_INKED = 0.003  # share of the view


def dark_lines(gray: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """How much darker a thin dark line is than what lies beside it: DullRazor's closings (Lee et al. 1997),
    along lines of four directions.
    """
    slope = np.eye(_LENGTH, dtype=np.uint8)
    kernels = (slope, slope[:, ::-1].copy(), slope[:1] | 1, slope[:, :1] | 1)
    hats = [cv2.morphologyEx(gray, cv2.MORPH_BLACKHAT, kernel) for kernel in kernels]
    return np.asarray(np.maximum.reduce(hats), np.uint8)


def has_hair(lines: NDArray[np.uint8]) -> bool:
    """Whether much of the image is dark lines that are long and thin, from :func:`dark_lines`."""
    dark = (lines > _HAIR_DARKER).astype(np.uint8)
    _, _, parts, _ = cv2.connectedComponentsWithStats(dark, connectivity=8)
    sides, areas = parts[1:, 2:4], parts[1:, 4]
    length = np.hypot(sides[:, 0], sides[:, 1])
    hair = areas[(length > _HAIR_LONG) & (areas < _HAIR_WIDE * length)]
    return bool(hair.sum() > _HAIRY * lines.size)


def has_ruler(lines: NDArray[np.uint8]) -> bool:
    """Whether ticks stand at equal distances along one of the longest straight dark lines."""
    dark = (lines > _LINE_DARKER).astype(np.uint8) * 255
    found = cv2.HoughLinesP(dark, 1, np.pi / 180, 45, minLineLength=_LINE_LONG, maxLineGap=4)
    if found is None:
        return False
    ends = found.reshape(-1, 2, 2).astype(np.float32)
    longest = np.argsort(-np.linalg.norm(ends[:, 1] - ends[:, 0], axis=1), kind="stable")[:_LINES]
    return any(_rhythm(lines, *ends[line]) > _RHYTHM for line in longest)


def has_ink(rgb: NDArray[np.uint8], view: NDArray[np.bool_]) -> bool:
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
