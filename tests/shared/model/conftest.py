from __future__ import annotations

import keras
import pytest

from dermafed.shared.model.initial_weights import initial_classifier
from dermafed.shared.model.model_settings import ModelSettings
from tests.shared.model.real_weights import CLASSES


@pytest.fixture(scope="session")
def b0() -> keras.Model:
    """EfficientNetB0 at 32 px with random weights; let no test change it."""
    return initial_classifier(ModelSettings(CLASSES, image_size=32), "none", seed=3)
