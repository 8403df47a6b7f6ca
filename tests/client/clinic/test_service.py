"""The diagnostic service over the real store, with a stand-in for the network."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from dermafed.client.clinic.diagnosis.diagnoser import Prediction
from dermafed.client.clinic.diagnosis.diagnosis import ModelUsed
from dermafed.client.clinic.intake.clinical import Clinical
from dermafed.client.clinic.intake.refusals import Refused
from dermafed.client.clinic.service import DiagnosticService
from dermafed.client.clinic.store.store import Store
from tests.client.clinic.store.samples import received


class Corner:
    """Sees the upper left of an image, and explains what it saw by itself."""

    classes = ("melanoma", "nevus")
    model = SimpleNamespace(used=ModelUsed("corner", 0, "0" * 64))

    def predict(self, image: NDArray[np.uint8], clinical: Clinical) -> Prediction:
        return Prediction(image[:8, :8].copy(), np.array([1, 2], np.float32), np.zeros(2, np.float32))

    def explain(self, prepared: NDArray[np.uint8], *asked: str | None) -> Any:
        return prepared


@pytest.fixture
def service(store: Store) -> DiagnosticService:
    return DiagnosticService(Corner(), store)  # type: ignore[arg-type]


def test_a_repeated_request_gets_the_same_diagnosis(service: DiagnosticService) -> None:
    first = service.diagnose(received(1), "camera-1", "r-1")
    assert service.diagnose(received(1), "camera-1", "r-1") == first
    assert service.diagnose(received(1), "camera-1").id != first.id
    with pytest.raises(Refused, match="used for another image") as caught:
        service.diagnose(received(2), "camera-1", "r-1")
    assert caught.value.status == 409


def test_a_forgotten_diagnosis_has_no_heatmap(service: DiagnosticService, store: Store) -> None:
    of = received(1)
    made = service.diagnose(of, "camera-1")
    for _ in range(2):
        np.testing.assert_array_equal(service.heatmap(made.id), of.image[:8, :8])  # type: ignore[arg-type]
    store.forget(made.id)
    with pytest.raises(Refused, match="no longer stored"):
        service.heatmap(made.id)
