"""Correlation within the lesion: lying on the lesion is not enough."""

from __future__ import annotations

import numpy as np
import pytest

from dermafed.shared.explain.quality.stability import correlation
from dermafed.shared.explain.quality.within_lesion import lesion_correlation

LESION = np.zeros((20, 20), np.bool_)
LESION[5:15, 5:15] = True


def gated(seed: int) -> np.ndarray:
    """Another map for each seed, all on the lesion."""
    return np.where(LESION, np.random.default_rng(seed).uniform(0.5, 1, (20, 20)), 0).astype(np.float32)


def test_maps_that_share_only_the_lesion_correlate_over_the_image_and_not_within_it() -> None:
    assert correlation(gated(1), gated(2)) > 0.8
    assert abs(lesion_correlation(gated(1), gated(2), LESION)) < 0.25
    assert lesion_correlation(gated(1), gated(1), LESION) == pytest.approx(1)


def test_what_is_outside_does_not_count() -> None:
    inside = np.where(LESION, gated(1), gated(3) + 0.5).astype(np.float32)
    assert lesion_correlation(gated(1), inside, LESION) == pytest.approx(1)
    assert lesion_correlation(gated(1), (1 - gated(1)).astype(np.float32), LESION) == pytest.approx(-1)


def test_a_map_that_is_constant_in_the_lesion_shares_nothing() -> None:
    assert lesion_correlation(gated(1), LESION.astype(np.float32), LESION) == 0
