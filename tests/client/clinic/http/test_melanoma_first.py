"""A diagnosis on the page: melanoma first, but for what the model cannot judge."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from html import unescape

import pytest
from starlette.testclient import TestClient

from dermafed.client.clinic.diagnosis.diagnoser import Diagnoser
from dermafed.client.clinic.diagnosis.diagnosis import MissRate
from dermafed.client.clinic.http.app import build_app
from dermafed.client.clinic.http.model_facts import model_facts
from dermafed.client.clinic.http.serve_settings import ServeSettings
from tests.client.clinic.http.http_node import Node, png, running
from tests.client.clinic.lesions import NOT_FOUND
from tests.client.clinic.store.samples import save_one

RATE = MissRate(1 / 30, 0.0008, 0.172, 30, "Cannot be promised here")
ALERT = {"alert": True, "alert_threshold": 0.12, "miss_rate": RATE, "possible": ("nevus",)}


@pytest.fixture(scope="module")
def node(diagnoser: Diagnoser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with running(diagnoser, tmp_path_factory.mktemp("melanoma") / "graz") as started:
        yield started


@pytest.fixture(scope="module")
def page(node: Node) -> object:
    clinician = node.clinician("of-melanoma")

    def show(**changes: object) -> str:
        made = save_one(node.store, **changes)  # type: ignore[arg-type]
        return unescape(clinician.get(f"/diagnoses/{made.id}").text)

    return show


def places(page: str, *texts: str) -> list[int]:
    """Where each text is, which must be there once."""
    assert [page.count(text) for text in texts] == [1] * len(texts), texts
    return [page.index(text) for text in texts]


def test_melanoma_stands_above_the_bars(page) -> None:  # type: ignore[no-untyped-def]
    shown = page(**ALERT)
    texts = ("<b>Alert: melanoma not excluded</b>", "found 29 and missed 1", '<table class="bars">')
    assert places(shown, *texts) == sorted(places(shown, *texts))
    assert "<title>Alert: melanoma not excluded · DermaFed</title>" in shown
    assert "Show the percentages" not in shown


@pytest.mark.parametrize(
    ("doubt", "said"),
    [
        ({"outside": True}, "<b>This image may be unlike the images that the model was trained on.</b>"),
        ({"lesion": NOT_FOUND}, "<b>No lesion found:</b> no part of the image looks like a lesion."),
    ],
)
def test_what_the_model_cannot_judge_comes_first_and_its_figures_are_folded(page, doubt, said) -> None:  # type: ignore[no-untyped-def]
    shown = page(**ALERT | {"alert": False}, **doubt)
    texts = (
        said, "<b>Melanoma not excluded</b>", "<summary>Show the percentages all the same</summary>",
        "found 29 and missed 1", '<table class="bars">',
    )  # fmt: skip
    assert places(shown, *texts) == sorted(places(shown, *texts))
    before = shown[: shown.index("<details")]
    assert "%" not in before
    assert "nevus" not in before


def test_undecided_is_a_word_above_the_bars_and_nothing_says_that_all_is_well(page) -> None:  # type: ignore[no-untyped-def]
    shown = page(unsure=True, cautions=())
    texts = ("<b>Undecided:</b>", '<table class="bars">')
    assert places(shown, *texts) == sorted(places(shown, *texts))
    clear = page(unsure=False, outside=False, cautions=(), **ALERT | {"alert": False})
    assert "No warning" not in clear
    assert "Below the alert threshold; melanoma not excluded" in clear


@pytest.mark.parametrize(
    ("changes", "emphasised"),
    [
        ({"unsure": False, "outside": False, "alert": False}, ["first nevus"]),
        ({"unsure": False, "outside": False}, ["alerted melanoma"]),
        ({"unsure": True, "alert": False}, []),
        ({"unsure": None, "alert": False}, []),
        ({"outside": True}, []),
        ({"lesion": NOT_FOUND}, []),
    ],
)
def test_no_percentage_stands_out_that_the_model_does_not_know(page, changes, emphasised) -> None:  # type: ignore[no-untyped-def]
    shown = page(**ALERT | changes)
    rows = re.findall(r'<tr class="(\w+)">\s*<th scope="row">([^<]*)</th>', shown)
    assert [" ".join(each) for each in rows] == emphasised


def test_an_earlier_answer_and_one_of_another_model_are_called_so(node: Node, page) -> None:  # type: ignore[no-untyped-def]
    used = node.service.diagnoser.model.used
    now = page(**ALERT, model=used)
    assert "earlier answer" not in now
    assert "Another model" not in now
    earlier = page(
        **ALERT, time="2026-03-04T12:00:00.000+00:00", model=replace(used, round=3, sha256="1" * 64)
    )
    said = (
        "An earlier answer, of 4 March 2026.",
        "<b>Alert: melanoma not excluded</b>",
        "alps, round 3. The heatmap",
    )
    assert places(earlier, *said) == sorted(places(earlier, *said))
    assert "of the model in use now, alps, round 7: they do not explain it" in earlier


def test_an_upload_is_named_as_such(node: Node, page) -> None:  # type: ignore[no-untyped-def]
    anna = node.clinician("of-uploads")
    made = anna.post("/v1/diagnoses", files={"image": png(7)}).json()
    assert made["uploaded"] is True
    assert "<dt>Uploaded by</dt><dd>of-uploads</dd>" in anna.get(f"/diagnoses/{made['id']}").text
    sent = node.device("camera-of-uploads").post("/v1/diagnoses", files={"image": png(8)}).json()
    assert "uploaded" not in sent
    assert "<dt>Sent by</dt><dd>camera-of-uploads</dd>" in anna.get(f"/diagnoses/{sent['id']}").text


def test_a_synthetic_model_is_labelled_on_every_view(node: Node, page) -> None:  # type: ignore[no-untyped-def]
    assert "Synthetic model" not in page()
    facts = replace(model_facts(node.service.diagnoser.model, None, "graz"), synthetic=True)
    app = build_app(node.service, node.tokens, facts, ServeSettings())
    with TestClient(app, base_url="https://localhost") as client:
        html = {"accept": "text/html", "origin": "https://localhost"}
        assert "Synthetic model" in client.get("/sign-in", headers=html).text
        token = node.tokens.make("of-synthetic", "clinician")
        client.post("/sign-in", data={"token": token}, headers=html, follow_redirects=False)
        made = save_one(node.store)
        for path in ("/", "/day", "/model", f"/diagnoses/{made.id}", "/diagnoses/none"):
            assert "Synthetic model" in client.get(path, headers=html).text, path
