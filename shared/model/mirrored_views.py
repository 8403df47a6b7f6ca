"""Views of an image at test: mirrored, which changes no diagnosis; their logits are averaged."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def mirrored(images: NDArray[np.uint8], view: int) -> NDArray[np.uint8]:
    """A view of images, without copying them.

    Args:
        images: uint8 (..., S, S, 3).
        view: 0 as they are, 1 left to right, 2 top to bottom, 3 both.
    """
    turned = images[..., ::-1, :] if view & 1 else images
    return turned[..., ::-1, :, :] if view & 2 else turned


def mean_logits(of_views: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """The mean of the logits of each view, float32 (..., C); of one view, its own."""
    return of_views[0] if len(of_views) == 1 else np.mean(of_views, axis=0, dtype=np.float32)


def mean_prediction(of_views: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """The probabilities of the mean logits of views; of one view, its own.

    p is proportional to exp(mean_v log p_v), since log p_v and the logits of a view differ by a constant.

    Args:
        of_views: probabilities of each view, float32 (N, C).

    Example:
        (0.5, 0.5) and (0.9, 0.1): logits 0 and log 9, mean log 3, so (0.75, 0.25).
    """
    if len(of_views) == 1:
        return of_views[0]
    least = np.finfo(np.float32).tiny
    logs = np.mean([np.log(np.maximum(one, least).astype(np.float64)) for one in of_views], axis=0)
    powers = np.exp(logs - logs.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True), np.float32)
