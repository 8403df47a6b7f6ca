"""A model whose output is not a number: it is not served, and a node that meets one is not ready."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from dermafed.client.clinic.diagnosis.diagnoser import Diagnoser
from dermafed.client.clinic.diagnosis.opened_model import OpenedModel
from dermafed.client.clinic.dicom.outbox import Outbox
from dermafed.client.clinic.http.limits import WorkPool
from dermafed.client.clinic.http.monitoring import Metrics, monitoring_router
from dermafed.shared.errors import ModelError
from tests.client.clinic.http.http_node import SIDE, Node, png, small_diagnoser
from tests.shared.explain.small_networks import small_classifier


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_model_without_numbers_is_not_served(value: float) -> None:
    good, network = small_diagnoser().model, small_classifier(side=SIDE)
    kernel, bias = network.get_layer("logits").get_weights()
    network.get_layer("logits").set_weights([kernel, np.full_like(bias, value)])
    with pytest.raises(ModelError, match="not a number") as caught:
        Diagnoser(OpenedModel(network, good.card, good.used, Path("none") / "model.keras"))
    assert "fl-client models" in caught.value.remedy


def test_a_node_whose_model_gives_no_number_is_not_ready(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    explainer = node.service.diagnoser._explainer
    engine = explainer.opened.engine

    def broken(image: Any) -> Any:
        activations, outputs = engine.forward(image)
        return activations, outputs._replace(logits=np.full(np.shape(outputs.logits), np.nan))

    with node.device("camera-of-health") as device:
        assert device.get("/health").json()["ready"]
        with monkeypatch.context() as patch:
            patch.setattr(explainer, "opened", SimpleNamespace(engine=SimpleNamespace(forward=broken)))
            answer = device.post("/v1/diagnoses", files={"image": png(7001)})
        assert (answer.status_code, answer.json()["code"]) == (500, "internal")
        assert not device.get("/health").json()["ready"]
        assert device.post("/v1/diagnoses", files={"image": png(7002)}).status_code == 200
        assert device.get("/health").json()["ready"]


def test_answers_that_could_not_be_made_are_seen(tmp_path: Path) -> None:
    outbox, pool = Outbox(tmp_path), cast(WorkPool, SimpleNamespace(has_room=True, active=0))
    used = small_diagnoser().model.used
    diagnoser = cast(Diagnoser, SimpleNamespace(works=True, model=SimpleNamespace(used=used)))
    app = FastAPI()
    app.include_router(monitoring_router(diagnoser, pool, Metrics(used, pool, outbox), outbox))
    client = TestClient(app)
    assert "dicom_answers_failed" not in client.get("/health").json()
    outbox.add("0" * 32)
    outbox.add_failure("1" * 32, "ValueError")
    assert client.get("/health").json()["dicom_answers_failed"] == 1
    shown = client.get("/metrics").text
    assert 'dermafed_dicom_answers{state="waiting"} 2.0' in shown
    assert 'dermafed_dicom_answers{state="failed"} 1.0' in shown
