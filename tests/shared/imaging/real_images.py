"""Real dermoscopic images, where the data folder lies beside the checkout."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.paths import SHARED

HAM = SHARED / "data" / "ham10000" / "images"
DEVICE = SHARED / "data" / "device_samples"

needs_real_images = pytest.mark.skipif(not HAM.is_dir(), reason="the real images are not beside the checkout")


def ham_paths(count: int) -> list[Path]:
    """The first `count` HAM10000 images by name (224 x 224)."""
    return sorted(HAM.glob("*.jpg"))[:count]
