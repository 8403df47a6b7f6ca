"""The measures by name: their ranges, and which way is better."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Measure:
    """What one image can have of a measure.

    Attributes:
        range: the least and the greatest value.
        better: where a good explanation lies; ``None`` for what is only there to compare with.
    """

    range: tuple[float, float]
    better: Literal["low", "high"] | None


MEASURES = {
    "deletion": Measure((0, 1), "low"),
    "insertion": Measure((0, 1), "high"),
    "drop": Measure((0, 1), "low"),
    "increase": Measure((0, 1), "high"),
    "pointing": Measure((0, 1), "high"),
    "pointing_chance": Measure((0, 1), None),
    "pointing_gain": Measure((-1, 1), "high"),
    "stability_shift": Measure((-1, 1), "high"),
    "stability_noise": Measure((-1, 1), "high"),
    "stability_jpeg": Measure((-1, 1), "high"),
}
"""``pointing_gain`` is pointing less its chance level, image by image."""

BINARY_MEASURES = {"increase"}
"""Measures that are 0 or 1 for an image."""
