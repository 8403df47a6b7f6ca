from __future__ import annotations

import numpy as np
import pytest

from dermafed.shared.metrics.trainings import over_trainings


def test_two_drawn_trainings_vary_as_much_as_two_trainings() -> None:
    drawn = over_trainings(np.tile([0.4, 0.6], (4000, 1)))
    assert sorted(set(drawn.round(4))) == [0.3586, 0.5, 0.6414]
    assert drawn.var() == pytest.approx(np.var([0.4, 0.6], ddof=1) / 2, rel=0.1)


def test_one_training_is_its_own_mean() -> None:
    values = np.random.default_rng(1).random((50, 1, 2, 3))
    assert over_trainings(values) == pytest.approx(values[:, 0])


def test_differences_are_paired() -> None:
    values = np.random.default_rng(1).random((50, 3, 2))
    apart = over_trainings(values[:, :, :1]) - over_trainings(values[:, :, 1:])
    assert apart == pytest.approx(over_trainings(values[:, :, :1] - values[:, :, 1:]))
