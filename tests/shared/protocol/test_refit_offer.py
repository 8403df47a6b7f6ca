from __future__ import annotations

import pytest

from dermafed.shared.errors import SettingsError
from tests.client.planted_clinic import offer


def test_the_last_layer_anew_needs_the_calibration_that_tells_what_is_kept() -> None:
    assert offer(refit="logistic").refit == "logistic"
    with pytest.raises(SettingsError, match="refit without calibrate"):
        offer(refit="ridge", calibrate=False)
