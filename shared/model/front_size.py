"""The size of a network's frozen blocks, about, before anything is built.

Channels are those of Tan and Le (2019, arXiv:1905.11946, table 1; 2021, arXiv:2104.00298, table 4) and of
Keras' larger ones; shares were counted in Keras' networks.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from dermafed.shared.model.model_settings import BLOCKS, ModelSettings

T = TypeVar("T")

SHARES: dict[str, tuple[float, ...]] = {
    "EfficientNetB": (0.05, 0.20, 0.30, 0.41, 0.63, 0.87, 0.95),
    "EfficientNetV2": (0.07, 0.33, 0.48, 0.54, 0.73, 0.99, 1.0),
}
"""The first blocks' share of the multiply-adds, of B0 and V2-B3; that of others differs by up to 0.12."""

CHANNELS: dict[str, tuple[int, ...]] = {
    "EfficientNetB": (16, 24, 40, 80, 112, 192, 320),
    "EfficientNetV2B": (16, 32, 48, 96, 112, 192),
    "EfficientNetV2S": (24, 48, 64, 128, 160, 256),
    "EfficientNetV2M": (24, 48, 80, 160, 176, 304, 512),
    "EfficientNetV2L": (32, 64, 96, 192, 224, 384, 640),
}
"""The channels behind each of its blocks, of B0 and V2-B0 where others are wider."""

WIDTHS = {"B2": 1.1, "B3": 1.2, "B4": 1.4, "B5": 1.6, "B6": 1.8, "B7": 2.0}
"""How many times as wide they are."""

STRIDES = (2, 4, 8, 16, 16, 32, 32)
"""Pixels of the image's side for one of the features' behind each block."""


def features_of(model: ModelSettings) -> int:
    """How many numbers the frozen blocks make of an image, about; 0 where none is frozen.

    Example:
        EfficientNetB0 at 128 pixels, four blocks frozen: 8 * 8 * 80 = 5,120.
    """
    if not model.frozen_blocks:
        return 0
    block = _last(model)
    side = -(-model.image_size // STRIDES[block - 1])
    width = WIDTHS.get(model.backbone[-2:], 1.0)
    return round(side**2 * _of_family(CHANNELS, model.backbone)[block - 1] * width)


def share_of_work(model: ModelSettings) -> float:
    """The share of the network's multiply-adds that its frozen blocks have, about: 0 to 1."""
    if not model.frozen_blocks:
        return 0.0
    return _of_family(SHARES, model.backbone)[_last(model) - 1]


def _last(model: ModelSettings) -> int:
    """The last frozen block whose maps are all that later layers read."""
    blocks = len(_of_family(CHANNELS, model.backbone))
    return min(model.frozen_blocks, blocks - BLOCKS + 1 if model.features == "blocks" else blocks)


def _of_family(table: Mapping[str, T], name: str) -> T:
    return next(value for family, value in table.items() if name.startswith(family))
