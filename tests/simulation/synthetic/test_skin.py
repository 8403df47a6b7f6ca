from __future__ import annotations

import numpy as np

from dermafed.simulation.synthetic.skin import DERMIS, absorb, scatter


def test_no_pigment_is_dermis_and_densities_multiply() -> None:
    density = np.array([[0.0, 1.0, 2.0]], np.float32)
    colours = absorb(density, np.zeros_like(density))[0].astype(np.float64)
    np.testing.assert_allclose(colours[0], DERMIS, rtol=1e-6)
    np.testing.assert_allclose(colours[1] ** 2, colours[0] * colours[2], rtol=1e-5)


def test_scatter_mixes_by_alpha() -> None:
    image = np.full((1, 3, 3), 0.2, np.float32)
    mixed = scatter(image, np.array([[0, 0.5, 1]], np.float32), (1.0, 0.6, 0.0))
    np.testing.assert_allclose(mixed[0], [[0.2, 0.2, 0.2], [0.6, 0.4, 0.1], [1, 0.6, 0]], atol=1e-4)
