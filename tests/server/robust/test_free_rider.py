"""What is no training: by hand, and noise in as many dimensions as a network has."""

from __future__ import annotations

import math

import numpy as np

from dermafed.server.robust.free_rider import free_ride


def test_noise_is_told_from_training_where_there_are_many_weights() -> None:
    random = np.random.default_rng(5)
    common, size = random.normal(size=200_000), 200_000
    steps = [common + 2 * random.normal(size=size) for _ in range(4)] + [random.normal(size=size)]
    units = [step / np.linalg.norm(step) for step in steps]
    cosines = [float(np.mean([one @ other for other in units if other is not one])) for one in units]
    usual = sorted(cosines)[2]
    found = [free_ride(1.0, cosine, usual, size) for cosine in cosines]
    assert found[:4] == [""] * 4
    assert "as noise has" in found[4]
    assert free_ride(1.0, cosines[4], usual, 100) == "", "few weights say nothing"


def test_where_honest_steps_have_little_in_common_none_is_called_noise() -> None:
    """As in a late round of five real clinics, of 4 million weights: chance is 0.002."""
    assert free_ride(1.0, 0.0015, 0.03, 4_000_000) == ""
    assert "as noise has" in free_ride(1.0, 0.0015, 0.2, 4_000_000)


def test_a_step_of_no_length_is_none() -> None:
    assert "sends back the model" in free_ride(0.0, math.nan, 0.5, 10)
    assert free_ride(0.01, 0.4, 0.5, 10) == ""
    assert free_ride(math.nan, math.nan, math.nan, 0) == "", "where nobody moves, nobody is lazy"
