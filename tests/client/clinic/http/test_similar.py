"""Similar cases over HTTP: of this clinic, for its clinicians only."""

from __future__ import annotations

import uuid
from pathlib import Path

import numpy as np
import pytest

from dermafed.client.clinic.http.pictures import shown_jpeg
from dermafed.client.clinic.similar.case_index import Case, CaseIndex
from dermafed.client.clinic.similar.similar_cases import NONE, NOTE, SimilarCases
from dermafed.shared.imaging.decoding import decode_image
from tests.client.clinic.http.http_node import CLASSES, Node, png

SHA256 = "0" * 64  # of the small model


def send(node: Node, seed: int) -> str:
    device = node.device(f"camera-{uuid.uuid4().hex[:8]}")
    answer = device.post("/v1/diagnoses", files={"image": ("a.png", png(seed), "image/png")})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["id"])


def fill(node: Node, folder: Path, count: int = 7) -> list[Case]:
    """An index of drawn images; the first is what :func:`send` sends with seed 0."""
    similar = SimilarCases(node.service.diagnoser.model, folder / "similar.npz")
    node.service.similar = similar
    cases, rows = [], []
    for seed in range(count):
        id = send(node, seed)
        diagnosis, path = node.store.load(id), folder / f"{seed}.png"
        path.write_bytes(png(seed))
        rows.append(similar._features(node.store.load_prepared(id), diagnosis.clinical))
        label = CLASSES[seed % len(CLASSES)]
        cases.append(
            Case(
                f"case <{seed}>", label, f"lesion {seed}", str(path), "", diagnosis.image_sha256, "follow-up"
            )
        )
    CaseIndex(SHA256, tuple(cases), np.array(rows)).save(folder / "similar.npz")
    return cases


def test_a_clinician_sees_other_cases_of_this_clinic_and_their_images(node: Node, tmp_path: Path) -> None:
    cases = {case.id: case for case in fill(node, tmp_path)}
    id, clinician = send(node, 0), node.clinician()
    answer = clinician.get(f"/v1/diagnoses/{id}/similar").json()
    assert answer["note"] == NOTE
    assert len(answer["cases"]) == 5
    fit = node.service.diagnoser.model.card.preprocess.fit
    assert "case <0>" not in {each["id"] for each in answer["cases"]}  # the image itself
    for each in answer["cases"]:
        case = cases[each["id"]]
        assert (each["diagnosis"], each["confirmed_by"]) == (case.diagnosis, "follow-up")
        picture = clinician.get(each["image"])
        assert picture.headers["content-type"] == "image/jpeg"
        assert picture.content == shown_jpeg(decode_image(Path(case.path).read_bytes()), fit)
    assert str(tmp_path) not in str(answer)


def test_devices_and_strangers_see_none(node: Node, tmp_path: Path) -> None:
    (case, *_) = fill(node, tmp_path)
    id = send(node, 0)
    paths = (f"/v1/diagnoses/{id}/similar", f"/v1/cases/{case.sha256}.jpg")
    for place, path in enumerate(paths):
        assert node.client().get(path).status_code == 401
        assert node.device(f"camera-{place}").get(path).status_code == 403


def test_without_an_index_of_this_model_the_answer_says_none(node: Node, tmp_path: Path) -> None:
    id, clinician = send(node, 0), node.clinician()
    assert clinician.get(f"/v1/diagnoses/{id}/similar").json() == {"cases": [], "note": NONE}
    fill(node, tmp_path)
    path = tmp_path / "similar.npz"
    assert clinician.get(f"/v1/diagnoses/{id}/similar").json()["cases"]
    path.unlink()  # as a forgotten case does
    assert clinician.get(f"/v1/diagnoses/{id}/similar").json() == {"cases": [], "note": NONE}


@pytest.mark.parametrize("sha256", ["0" * 64, "..%2F..%2Fetc%2Fpasswd", "x"])
def test_only_images_of_the_index_are_shown(node: Node, tmp_path: Path, sha256: str) -> None:
    fill(node, tmp_path, 2)
    assert node.clinician().get(f"/v1/cases/{sha256}.jpg").status_code == 404


def test_a_case_whose_image_is_gone_and_an_unknown_diagnosis_are_refused(node: Node, tmp_path: Path) -> None:
    cases, clinician = fill(node, tmp_path, 2), node.clinician()
    Path(cases[1].path).unlink()
    assert clinician.get(f"/v1/cases/{cases[1].sha256}.jpg").status_code == 404
    assert clinician.get(f"/v1/diagnoses/{'f' * 32}/similar").status_code == 404
