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
from dermafed.shared.imaging.pipeline import preprocess
from dermafed.shared.imaging.preprocess_settings import PreprocessSettings
from tests.client.clinic.store.samples import diagnosis, received

SETTINGS = PreprocessSettings(image_size=32, denoise="none", clahe=False)


class Corner:
    """Sees the upper left of an image, and explains what it saw by itself."""

    classes = ("melanoma", "nevus")
    model = SimpleNamespace(used=ModelUsed("corner", 0, "0" * 64), card=SimpleNamespace(preprocess=SETTINGS))

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


def test_a_heatmap_is_of_the_predicted_class_and_of_what_the_model_in_use_sees(
    service: DiagnosticService, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Calibration may move the predicted class; and another model saw the image otherwise."""
    of, asked = received(1), []
    monkeypatch.setattr(service.diagnoser, "explain", lambda *each: asked.append(each))
    for model in (Corner.model.used, ModelUsed("first", 3, "a" * 64)):
        made = diagnosis(of, model=model, prediction="melanoma")
        saved = store.save(made, of, of.image[:8, :8])
        service.heatmap(saved.id)
    (own, *names), (other, *_) = asked
    assert names == ["melanoma", None, None]
    np.testing.assert_array_equal(own, of.image[:8, :8])
    np.testing.assert_array_equal(other, preprocess(store.load_image(saved.id), SETTINGS, 1).image)
    unknown = store.save(diagnosis(of, prediction="bcc"), of, of.image[:8, :8])
    with pytest.raises(Refused, match="does not know bcc"):
        service.heatmap(unknown.id)
