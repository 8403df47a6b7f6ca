from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dermafed.simulation.synthetic.canvas import Canvas
from dermafed.simulation.synthetic.criteria import draw_criteria
from dermafed.simulation.synthetic.scene import lesion_depth, lesion_mask


def test_melanoma_is_less_symmetric_than_nevus() -> None:
    assert _mean_asymmetry("melanoma") > 1.3 * _mean_asymmetry("nevus")


def test_depth_is_positive_in_the_middle_and_negative_far_away() -> None:
    canvas = Canvas(101, 1.25)
    plain = replace(
        draw_criteria("nevus", np.random.default_rng(1)),
        radius=0.5, elongation=1, irregularity=0, asymmetry=0, streaks=0,
    )  # fmt: skip
    depth = lesion_depth(canvas, plain, np.random.default_rng(2))
    area = (lesion_mask(canvas, depth) > 0).sum() / canvas.unit**2
    assert depth.max() == pytest.approx(1, abs=0.05)
    assert depth[0, 0] < -1
    assert area == pytest.approx(np.pi * 0.5**2, rel=0.03)


def _mean_asymmetry(diagnosis: str) -> float:
    """Mean over lesions of the share of the area that a half turn about the centroid does not cover."""
    canvas, rng, values = Canvas(96, 1.25), np.random.default_rng(7), []
    for _ in range(60):
        mask = lesion_mask(canvas, lesion_depth(canvas, draw_criteria(diagnosis, rng), rng)) > 0
        rows, columns = np.nonzero(mask)
        turned_rows = np.rint(2 * rows.mean() - rows).astype(int).clip(0, 95)
        turned_columns = np.rint(2 * columns.mean() - columns).astype(int).clip(0, 95)
        values.append(1 - mask[turned_rows, turned_columns].mean())
    return float(np.mean(values))
