from __future__ import annotations

import keras
import pytest

from shared.model.settings import ModelSettings
from shared.model.weights import initial_classifier
from tests.model.real import CLASSES


@pytest.fixture(scope="session")
def b0() -> keras.Model:
    """EfficientNetB0 at 32 px with random weights; let no test change it."""
    return initial_classifier(ModelSettings(CLASSES, image_size=32), "none", seed=3)
