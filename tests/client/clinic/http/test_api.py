"""The API over TLS: what is answered, to whom, and what is stored."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from datetime import date
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread

from dermafed.client.clinic.intake.clinical import Clinical
from dermafed.client.clinic.intake.receive import receive
from dermafed.shared.explain.overlay import COLOURS, blend, coloured
from dermafed.shared.metrics.decision.alert_rule import AlertRule
from dermafed.shared.metrics.decision.decision_settings import DecisionSettings
from dermafed.shared.metrics.decision.score_counts import Alerts
from tests.client.clinic.http.http_node import CLASSES, SIDE, Node, png, running, small_diagnoser
from tests.shared.explain.additive_networks import additive_classifier
from tests.shared.metrics.calibration.sample_calibration import fitted


def post(client: httpx.Client, image: bytes, **metadata: object) -> httpx.Response:
    return client.post(
        "/v1/diagnoses", files={"image": ("x", image)}, data={"metadata": json.dumps(metadata)}
    )


def pixels(answer: httpx.Response) -> np.ndarray:
    assert answer.status_code == 200, answer.text
    return np.asarray(Image.open(io.BytesIO(answer.content)))


def test_the_answer_is_the_services_own_to_the_last_bit(node: Node) -> None:
    data = png()
    answer = post(node.device(), data, age=54, sex="female", site="back", request="r-1")
    assert answer.status_code == 200, answer.text
    given = answer.json()
    same = node.service.diagnose(
        receive(data, Clinical(age=54, sex="female", site="back")), device="other"
    ).to_dict()
    assert given.pop("seconds") >= 0 <= same.pop("seconds")
    for own in ("id", "time", "device", "request"):
        assert given.pop(own) != same.pop(own)
    assert given == same
    assert sum(given["probabilities"].values()) == pytest.approx(1)
    assert tuple(given["probabilities"]) == CLASSES


def test_a_diagnosis_is_saved_before_it_is_answered(node: Node) -> None:
    device = node.device()
    given = post(device, png()).json()
    assert (
        device.get(f"/v1/diagnoses/{given['id']}").json() == given == node.store.load(given["id"]).to_dict()
    )


def test_an_alert_is_answered_saved_and_shown(node: Node) -> None:
    """A threshold of 0 alerts to every image, one of 1 to none; 2 of 40 validation melanomas were missed."""
    clinician = node.clinician()
    for threshold, raised in ((0.0, True), (1.0, False)):
        rule = AlertRule(DecisionSettings(), threshold, Alerts(40, 38, 100, 30), (0.0,) * 3)
        node.service.calibration = replace(fitted(), classes=CLASSES, alert=rule)
        given = clinician.post("/v1/diagnoses", files={"image": png()}).json()
        assert given == node.store.load(given["id"]).to_dict()
        assert (given["alert"], given["alert_threshold"]) == (raised, threshold)
        assert (given["miss_rate"]["value"], given["miss_rate"]["n"]) == (pytest.approx(0.05), 40)
        assert given["possible"] == list(CLASSES)
        page = clinician.get(f"/diagnoses/{given['id']}").text
        assert ("<b>Alert: melanoma not excluded</b>" in page) == raised
        assert "the alert found 38 and missed 2 (" in page
        assert rule.promise.sentence in page


def test_a_repeated_request_gets_the_same_and_another_image_is_refused(node: Node) -> None:
    device = node.device()
    first = post(device, png(1), request="r-1").json()
    assert post(device, png(1), request="r-1").json() == first
    assert len(node.store.list_day(date.today())) == 1
    reused = post(device, png(2), request="r-1")
    assert (reused.status_code, reused.json()["code"]) == (409, "request-reused")
    assert post(node.device("camera-2"), png(2), request="r-1").status_code == 200


def test_a_device_reads_only_its_own_diagnoses_and_a_clinician_all(node: Node) -> None:
    id = post(node.device(), png()).json()["id"]
    other, clinician = node.device("camera-2"), node.clinician()
    for path in ("", "/heatmap.png", "/heatmap.json", "/heat.png", "/image.jpg"):
        refused = other.get(f"/v1/diagnoses/{id}{path}")
        assert (refused.status_code, refused.json()["code"]) == (404, "unknown")
        assert clinician.get(f"/v1/diagnoses/{id}{path}").status_code == 200
    assert [each.who for each in node.store.list_views(id)] == ["anna"]


def test_the_overlay_is_the_explanation_on_what_the_network_saw(node: Node) -> None:
    device = node.device()
    id = post(device, png()).json()["id"]
    drawn = pixels(
        device.get(f"/v1/diagnoses/{id}/heatmap.png", params={"class": "melanoma", "against": "nevus"})
    )
    heatmap = node.service.heatmap(id, "melanoma", "nevus").heatmap
    assert heatmap.any()
    assert (drawn == blend(node.store.load_prepared(id), heatmap)).all()


def test_a_heatmap_says_whether_it_depends_on_the_class(node: Node, tmp_path: Path) -> None:
    with running(small_diagnoser(certainty=1), tmp_path / "linz") as other:
        for each, depends in ((node, True), (other, False)):
            device = each.device()
            id = post(device, png()).json()["id"]
            asked = {"class": "melanoma", "against": "nevus"}
            found = device.get(f"/v1/diagnoses/{id}/heatmap.json", params=asked).json()
            heatmap = each.service.heatmap(id, "melanoma", "nevus")
            assert found == {
                **asked,
                "method": "scorecam",
                "signed": False,
                "constant": False,
                "depends_on_class": depends,
                "class_correlation": heatmap.class_correlation,
            }
            predicted = device.get(f"/v1/diagnoses/{id}/heatmap.json").json()
            assert (predicted["class"], predicted["against"]) == (each.store.load(id).prediction, None)
            unknown = device.get(f"/v1/diagnoses/{id}/heatmap.json", params={"class": "naevus"})
            assert (unknown.status_code, unknown.json()["code"]) == (400, "class-unknown")


def test_a_model_of_the_lesion_answers_by_evidence_and_on_request_by_score_cam(tmp_path: Path) -> None:
    with running(small_diagnoser(classifier=additive_classifier(side=SIDE)), tmp_path) as node:
        clinician = node.clinician()
        id = post(clinician, png()).json()["id"]
        signs = {}
        for method in (None, "evidence", "scorecam"):
            asked = {} if method is None else {"method": method}
            found = clinician.get(f"/v1/diagnoses/{id}/heatmap.json", params=asked).json()
            signs[found["method"]] = found["signed"]
            own = node.service.heatmap(id, method=method)
            layer = pixels(clinician.get(f"/v1/diagnoses/{id}/heat.png", params=asked))
            assert (layer == np.rint(255 * coloured(own.heatmap, own.signed))).all()
            overlay = pixels(clinician.get(f"/v1/diagnoses/{id}/heatmap.png", params=asked))
            assert (overlay == blend(node.store.load_prepared(id), own.heatmap, own.signed)).all()
        assert signs == {"evidence": True, "scorecam": False}
        page = clinician.get(f"/diagnoses/{id}").text
        assert '<option value="evidence">Additive evidence</option><option value="scorecam">' in page
        assert "<span>against</span>" in page
        words = "Additive evidence: yellow speaks for it, light blue against it."
        assert words in clinician.get(f"/v1/diagnoses/{id}/fhir").text
        capture = dcmread(io.BytesIO(clinician.get(f"/v1/diagnoses/{id}/dicom?kind=sc").content))
        assert capture.DerivationDescription.startswith(words)


def test_the_layer_has_the_images_proportions_and_is_empty_where_nothing_was_seen(node: Node) -> None:
    device = node.device()
    file = io.BytesIO()
    Image.open(io.BytesIO(png(side=300))).resize((600, 300)).save(file, "PNG")
    id = post(device, file.getvalue()).json()["id"]
    layer = pixels(device.get(f"/v1/diagnoses/{id}/heat.png"))
    assert layer.shape == (SIDE, 2 * SIDE, 4)
    heatmap = node.service.heatmap(id).heatmap
    middle = layer[:, SIDE // 2 : SIDE // 2 + SIDE]
    assert (middle[..., 3] == np.rint(255 * heatmap)).all()
    assert (middle[..., :3] == np.rint(255 * COLOURS(heatmap)[..., :3])).all()
    assert not layer[:, : SIDE // 2].any()
    assert not layer[:, SIDE // 2 + SIDE :].any()


def test_an_opinion_is_saved_with_name_and_time(node: Node) -> None:
    id = post(node.device(), png()).json()["id"]
    diagnosis = node.service.store.load(id)
    other = next(name for name in CLASSES if name != diagnosis.prediction)
    given = {"agrees": False, "label": other, "reason": "the network", "confirmed_by": "histopathology"}
    answer = node.clinician().post(f"/v1/diagnoses/{id}/opinions", json=given)
    assert answer.status_code == 200, answer.text
    (opinion,) = node.store.list_opinions(id)
    assert answer.json() == {**given, "who": "anna", "time": opinion.time, "standing": "current"}


@pytest.mark.parametrize(
    "given",
    [
        {"agrees": False},
        {"agrees": False, "label": "wart"},
        {"agrees": True, "label": "nevus"},
        {"agrees": False, "label": "nevus", "confirmed_by": "hope"},
        {"agrees": False, "label": "nevus", "reason": "x" * 2001},
        {"agrees": False, "label": "nevus", "patient": "Wilhelmine Obermoser"},
        {},
    ],
)
def test_an_invalid_opinion_is_refused_without_repeating_it(node: Node, given: dict[str, object]) -> None:
    id = post(node.device(), png()).json()["id"]
    refused = node.clinician().post(f"/v1/diagnoses/{id}/opinions", json=given)
    assert refused.status_code == 400
    assert set(refused.json()) == {"code", "error", "remedy"}
    assert "Obermoser" not in refused.text
    assert not node.store.list_opinions(id)


def test_openapi_names_every_route_and_its_types(node: Node) -> None:
    document = node.client().get("/v1/openapi.json").json()
    assert set(document["paths"]) == {
        "/v1/diagnoses",
        "/v1/diagnoses/{id}",
        "/v1/diagnoses/{id}/heatmap.png",
        "/v1/diagnoses/{id}/heatmap.json",
        "/v1/diagnoses/{id}/heat.png",
        "/v1/diagnoses/{id}/image.jpg",
        "/v1/diagnoses/{id}/thumbnail.jpg",
        "/v1/diagnoses/{id}/opinions",
        "/v1/diagnoses/{id}/lesion",
        "/v1/lesions/{lesion}",
        "/v1/diagnoses/{id}/fhir",
        "/v1/diagnoses/{id}/dicom",
        "/v1/diagnoses/{id}/similar",
        "/v1/cases/{sha256}.jpg",
        "/dicomweb/studies",
        "/dicomweb/studies/{study}",
        "/health",
        "/metrics",
    }
    answer = document["components"]["schemas"]["DiagnosisAnswer"]["properties"]
    alert = {
        "alert",
        "alert_threshold",
        "alert_score",
        "alert_note",
        "miss_rate",
        "possible",
        "lesion",
        "uploaded",
        "doubts",
    }  # this node's model has none, a device sent the image, and nothing in it is in doubt
    assert set(answer) == set(post(node.device(), png()).json()) | alert
    form = document["paths"]["/v1/diagnoses"]["post"]["requestBody"]["content"]["multipart/form-data"]
    assert set(form["schema"]["properties"]) == {"image", "metadata"}


def test_health_and_metrics_name_nobody(node: Node) -> None:
    device = node.device("camera-of-obermoser")
    id = post(device, png(), request="visit-4711").json()["id"]
    assert node.client().get("/health").json() == {
        "status": "ok",
        "ready": True,
        "model": "alps",
        "round": 7,
    }
    metrics = node.client().get("/metrics").text
    assert "dermafed_diagnoses_total 1.0" in metrics
    assert 'dermafed_requests_total{method="POST",route="/v1/diagnoses",status="200"} 1.0' in metrics
    assert "dermafed_in_hand 0.0" in metrics
    assert not {each for each in ("obermoser", "4711", id) if each in metrics}
