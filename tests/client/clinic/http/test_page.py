"""What the page's answers carry, and whom they are for."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import date
from pathlib import Path

from dermafed.client.clinic.diagnosis.diagnosis import ModelUsed
from dermafed.client.clinic.http.model_facts import AtClinic, _by_clinic
from dermafed.client.clinic.http.page import STATIC
from dermafed.client.clinic.store.opinions import Opinion
from tests.client.clinic.http.http_node import CLASSES, Node, png
from tests.shared.metrics.calibration.sample_calibration import fitted

PAGES = ("/", "/day", f"/day/{date.today()}", "/model")


def test_a_visitor_is_sent_to_the_sign_in_page(node: Node) -> None:
    visitor = node.client(Accept="text/html")
    for page in (*PAGES, "/diagnoses/none"):
        answer = visitor.get(page)
        assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")
    assert visitor.get("/day", headers={"Accept": "*/*"}).json()["code"] == "token-missing"


def test_the_session_is_a_cookie_that_only_this_page_sends(node: Node) -> None:
    token = node.tokens.make("anna", "clinician")
    answer = node.client(Origin=node.url).post("/sign-in", data={"token": token})
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-session=")
    assert {"HttpOnly", "Secure", "SameSite=strict", "Path=/"} <= set(cookie.split("; "))
    assert "Max-Age=43200" in cookie
    assert token not in cookie


def test_a_wrong_token_is_refused_and_signing_out_ends_the_session(node: Node) -> None:
    visitor = node.client(Origin=node.url)
    wrong = visitor.post("/sign-in", data={"token": node.tokens.make("camera", "device")})
    assert wrong.status_code == 401
    assert "not a clinician" in wrong.text
    clinician = node.clinician()
    cookies = dict(clinician.cookies)
    assert clinician.get("/day").status_code == 200
    assert clinician.post("/sign-out").status_code == 303
    clinician.cookies.update(cookies)
    assert clinician.get("/day").status_code == 401


def test_every_page_forbids_foreign_content(node: Node) -> None:
    clinician = node.clinician()
    id = clinician.post("/v1/diagnoses", files={"image": png()}).json()["id"]
    for page in ("/sign-in", *PAGES, f"/diagnoses/{id}"):
        answer = clinician.get(page)
        assert "Research use only; not a medical device." in answer.text or answer.status_code == 303
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
        assert "unsafe" not in policy
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "server" not in answer.headers
        assert not re.findall(r"<script(?![^>]* src=)|<style| style=| on\w+=|https?://", answer.text)
        own = sum(path.stat().st_size for path in STATIC.iterdir())
        assert own + len(answer.content) <= 150_000, "the page's weight without pictures"
    assert clinician.get("/static/page.css").headers["cache-control"] == "no-cache"


def test_the_pages_own_files_fetch_nothing_from_elsewhere() -> None:
    for path in STATIC.iterdir():
        text = path.read_text().replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?://|//[a-z]+\.|@import", text), path


def test_what_a_clinician_writes_is_shown_as_text(node: Node) -> None:
    clinician = node.clinician()
    id = clinician.post("/v1/diagnoses", files={"image": png()}).json()["id"]
    node.store.add_opinion(id, Opinion("anna", False, "other", "<script>alert(1)</script>"))
    page = clinician.get(f"/diagnoses/{id}").text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<script>" not in page


def test_a_view_is_recorded_and_shown(node: Node) -> None:
    id = node.device().post("/v1/diagnoses", files={"image": png()}).json()["id"]
    anna, ben = node.clinician("anna"), node.clinician("ben")
    for clinician in (anna, ben):
        clinician.get(f"/diagnoses/{id}")
    assert [each.who for each in node.store.list_views(id)] == ["anna", "ben"]
    assert "<li>anna, " in ben.get(f"/diagnoses/{id}").text


def test_an_error_is_a_page_for_people(node: Node) -> None:
    answer = node.clinician().get("/diagnoses/none", headers={"Accept": "text/html"})
    assert answer.status_code == 404
    assert answer.text.startswith("<!doctype html>")


def test_without_a_threshold_the_page_says_that_nobody_has_measured_what_is_missed(node: Node) -> None:
    """As at a clinic without images of melanoma, and without a threshold of all clinics."""
    clinician = node.clinician()
    for calibration, unmeasured in ((None, 3), (replace(fitted(), classes=CLASSES), 2)):
        node.service.calibration = calibration
        id = clinician.post("/v1/diagnoses", files={"image": png()}).json()["id"]
        page = clinician.get(f"/diagnoses/{id}").text
        assert "Melanoma not excluded: there is no alert threshold" in page
        (note,) = re.findall(r"Not measured for this model: (.*?)\.</p>", page)
        assert note.count(";") == unmeasured - 1


def test_the_results_of_a_model_are_read_from_its_run(tmp_path: Path) -> None:
    clinics = {
        "graz": {"images": 20, "balanced_accuracy": 0.5},
        "linz": {"images": 1, "balanced_accuracy": None},
    }
    file = tmp_path / "result.json"
    file.write_text(json.dumps({"federated": {"clinics": clinics}}))
    assert _by_clinic(file, "graz") == (AtClinic("graz", True, 20, 0.5), AtClinic("linz", False, 1, None))
    for text in ("{", "[]", "{}", '{"federated": null}'):
        file.write_text(text)
        assert _by_clinic(file, "graz") == ()


def test_the_model_page_says_what_was_not_measured(node: Node) -> None:
    page = node.clinician().get("/model").text
    assert ModelUsed("alps", 7, "0" * 64) == node.service.diagnoser.model.used
    assert "alps, round 7" in page
    assert page.count("not measured here") >= 2
