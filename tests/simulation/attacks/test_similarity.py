"""Structural similarity, by hand where pictures are even."""

from __future__ import annotations

import numpy as np
import pytest

from dermafed.simulation.attacks.similarity import structural_similarity

PICTURE = np.random.default_rng(0).uniform(size=(16, 16, 3))


def test_worked_examples() -> None:
    assert structural_similarity(PICTURE, PICTURE) == pytest.approx(1)
    dark, light = np.full((16, 16, 3), 0.2), np.full((16, 16, 3), 0.6)
    assert structural_similarity(dark, light) == pytest.approx((0.24 + 1e-4) / (0.4 + 1e-4))
    assert structural_similarity(PICTURE, 1 - PICTURE) < -0.5
    assert abs(structural_similarity(PICTURE, PICTURE[::-1])) < 0.3
