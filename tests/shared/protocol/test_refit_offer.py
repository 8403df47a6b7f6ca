from __future__ import annotations

from dataclasses import replace

import pytest

from dermafed.shared.errors import SettingsError
from tests.client.planted_clinic import OFFER, offer


def test_the_last_layer_anew_needs_the_calibration_that_tells_what_is_kept() -> None:
    assert offer(refit="logistic").refit == "logistic"
    with pytest.raises(SettingsError, match="refit without calibrate"):
        offer(refit="ridge", calibrate=False)


def test_a_clinics_own_last_layer_is_fitted_when_it_calibrates() -> None:
    assert offer(own_layer=True).own_layer
    assert "own_layer" not in offer().to_dict(), "the hash of older offers stays"
    with pytest.raises(SettingsError, match="own_layer without calibrate"):
        offer(own_layer=True, calibrate=False)
    with pytest.raises(SettingsError, match="own_layer does not go with batch_norm local"):
        offer(own_layer=True, model=replace(OFFER.model, batch_norm="local"))
