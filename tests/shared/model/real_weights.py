"""The weights that lie beside the checkout, where there are any."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.paths import SHARED

IMAGES = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3)).astype(np.float32)
CLASSES = ("melanoma", "nevus", "seborrheic_keratosis")


def weights_file(name: str) -> Path:
    path = (SHARED / "weights" / f"{name}_notop.weights.h5").resolve()
    if not path.is_file():
        pytest.skip(f"no shared/weights/{path.name} beside the checkout")
    return path
