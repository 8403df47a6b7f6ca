from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dermafed.simulation.synthetic.canvas import Canvas


@given(st.floats(0.05, 2), st.integers(1, 4), st.integers(0, 2**32))
def test_noise_of_any_wavelength_is_centred(wavelength: float, octaves: int, seed: int) -> None:
    noise = Canvas(48, 1.25).noise(np.random.default_rng(seed), wavelength, octaves=octaves)
    assert noise.shape == (48, 48)
    assert abs(noise.mean()) < 0.3
    assert 0.4 < noise.std() < 1.6
