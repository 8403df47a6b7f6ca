"""Random Fourier features: a linear head on them is a kernel machine with the Gaussian kernel.

phi(z) = sqrt(2 / D) cos(W z + u), W ~ N(0, 1 / (width^2 K)), u ~ U(0, 2 pi): the inner product of two
images' features tends to exp(-|z - z'|^2 / (2 width^2 K)) (Rahimi and Recht 2007, algorithm 1). Every site
draws the same from the seed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dermafed.shared.errors import SettingsError

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class RandomFeatures:
    """Random Fourier features of K standardised features.

    Attributes:
        directions: W, float64 (K, D).
        phases: u, float64 (D,).
    """

    directions: Floats
    phases: Floats

    @classmethod
    def draw(cls, inputs: int, count: int, *, width: float = 1.0, seed: int = 0) -> RandomFeatures:
        """Draw the features.

        Args:
            inputs: K.
            count: D.
            width: of the kernel, above 0, in units of the root mean square distance from the mean.
            seed: of the draw.

        Raises:
            SettingsError: a count or the width is not above 0.
        """
        if inputs < 1 or count < 1 or not 0 < width < np.inf:
            raise SettingsError(
                f"{count} random features of {inputs}, {width} wide, are impossible",
                where="random_features",
                remedy="Give numbers above 0",
            )
        rng = np.random.default_rng(seed)
        directions = rng.normal(0, 1 / (width * np.sqrt(inputs)), (inputs, count))
        return cls(directions, rng.uniform(0, 2 * np.pi, count))

    def __call__(self, features: NDArray[np.floating], mean: Floats, deviation: Floats) -> Floats:
        """Random features float64 (N, D).

        Args:
            features: (N, K).
            mean: of each feature, (K,).
            deviation: its standard deviation, (K,); where it is 0 the feature is left out.
        """
        scale = np.where(deviation > 0, 1 / np.where(deviation > 0, deviation, 1), 0)
        placed = (features.astype(np.float64) - mean) * scale @ self.directions + self.phases
        return np.asarray(np.sqrt(2 / len(self.phases)) * np.cos(placed))
