"""A lesion's history over HTTP: who may assign, what its page shows, and that it is found."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from PIL import Image

from dermafed.client.clinic.diagnosis.diagnoser import Diagnoser
from dermafed.client.clinic.diagnosis.diagnosis import ModelUsed
from dermafed.client.clinic.http.lesion_history import lesion_history
from dermafed.client.clinic.http.worklist import Row
from dermafed.client.clinic.store.opinions import Opinion
from tests.client.clinic.answers.sample import ALERTED
from tests.client.clinic.http.http_node import Node, encoded, running
from tests.client.clinic.store.samples import noise, save_one


@pytest.fixture(scope="module")
def node(diagnoser: Diagnoser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    folder = tmp_path_factory.mktemp("lesions") / "graz"
    with running(diagnoser, folder, impression_first=True) as started:
        yield started


def test_an_image_is_assigned_searched_and_taken_out_by_clinicians_only(node: Node) -> None:
    anna, device = node.clinician("of-lesions"), node.device("camera-of-lesions")
    one, other = (save_one(node.store, seed) for seed in (1, 2))
    lesion = anna.post(f"/v1/diagnoses/{one.id}/lesion", json={}).json()["lesion"]
    number = lesion.removeprefix("L-").lstrip("0")
    assert anna.post(f"/v1/diagnoses/{other.id}/lesion", json={"lesion": number}).json() == {"lesion": lesion}
    assert anna.get(f"/v1/lesions/{number}").json() == {"lesion": lesion}
    for text in (lesion, lesion.lower(), number):
        assert anna.get("/search", params={"id": text}).headers["location"] == f"/lesions/{lesion}"
    page = anna.get(f"/lesions/{lesion}").text
    assert re.findall(r'<li data-id="(\w+)"', page) == [one.id, other.id]
    assert anna.get("/day").text.count(f'href="/lesions/{lesion}"') == 2
    assert f'value="{lesion}"' in anna.get("/", params={"lesion": lesion}).text
    assert anna.delete(f"/v1/diagnoses/{other.id}/lesion").json() == {"lesion": None}
    assert re.findall(r'<li data-id="(\w+)"', anna.get(f"/lesions/{lesion}").text) == [one.id]
    for wrong, status in (("L-9999", 404), ("<script>", 404), ("x" * 33, 400)):
        answer = anna.post(f"/v1/diagnoses/{one.id}/lesion", json={"lesion": wrong})
        assert answer.status_code == status, answer.text
    assert anna.get("/lesions/L-9999").status_code == anna.get("/lesions/none").status_code == 404
    address = f"/v1/diagnoses/{one.id}/lesion"
    refused = (device.post(address, json={}), device.delete(address), device.get(f"/v1/lesions/{lesion}"))
    assert {each.status_code for each in refused} == {403}


def test_no_answer_for_other_systems_has_the_lesions_number(node: Node) -> None:
    anna, image = node.clinician("of-answers"), encoded(noise(9, 300, 300), "PNG")
    id = anna.post("/v1/diagnoses", files={"image": image}).json()["id"]
    lesion = anna.post(f"/v1/diagnoses/{id}/lesion", json={}).json()["lesion"].encode()
    for path in ("", "/fhir", "/dicom"):
        answer = anna.get(f"/v1/diagnoses/{id}{path}")
        assert answer.status_code == 200
        assert lesion not in answer.content


def test_the_history_shows_no_answer_before_the_own_impression(node: Node) -> None:
    anna = node.clinician("of-history")
    seen, hidden = (save_one(node.store, seed, cautions=()) for seed in (3, 4))
    lesion = node.store.lesions.assign(seen.id, "ben")
    node.store.lesions.assign(hidden.id, "ben", lesion)
    node.store.add_opinion(hidden.id, Opinion("ben", False, "melanoma", "streaks"))
    node.store.add_impression(seen.id, "of-history", "nevus")
    first, second = re.findall(r"<li data-id=.*?</li>", anna.get(f"/lesions/{lesion}").text, re.DOTALL)
    line = '<div class="melanoma" data-state="unmeasured">'
    page = anna.get(f"/lesions/{lesion}").text
    assert page.index(line) < page.index("<li data-id="), "melanoma first"
    assert "25 %" in first
    assert "no opinion yet" in first
    assert "your impression first" in second
    assert "%" not in second
    assert "ben" not in second
    node.store.add_impression(hidden.id, "of-history", None)
    shown = anna.get(f"/lesions/{lesion}").text
    assert "<b>ben</b> disagrees: melanoma" in shown
    assert "Not all are of the same model" not in shown


def test_probabilities_of_different_models_are_not_joined() -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    other = ModelUsed("other", 1, "cd" * 32)
    rows = [
        Row(replace(ALERTED, time=(start + timedelta(days)).isoformat(), model=model), (), hidden)
        for days, model, hidden in (
            (0, ALERTED.model, False),
            (10, ALERTED.model, True),
            (30, ALERTED.model, False),
            (40, other, False),
        )
    ]
    history = lesion_history(rows)
    assert [each.days for each in history.moments] == [None, 10, 20, 10]
    assert [each.place for each in history.moments] == [0, 0.25, 0.75, 1]
    assert history.moments[1].probability is None
    assert history.steps == [(history.moments[0], history.moments[2])], "the hidden one has no place"
    assert history.gravest == history.moments[3], "the latest alert"
    calm = [replace(each, diagnosis=replace(each.diagnosis, alert=False)) for each in rows[1:]]
    assert lesion_history([rows[0], *calm]).gravest == lesion_history([rows[0], *calm]).moments[0]
    assert lesion_history(calm[:1]).gravest is None, "what is hidden tells nothing"
    assert history.several_models
    assert [each.place for each in lesion_history(rows[:1]).moments] == [0.0]
    assert lesion_history([]).moments == ()


def test_the_picture_comes_at_its_own_resolution_when_asked(node: Node) -> None:
    anna = node.clinician("of-pixels")
    image = np.full((1200, 1600, 3), 200, np.uint8)
    image[::2, ::2] = 40  # finer than any smaller picture shows
    id = anna.post("/v1/diagnoses", files={"image": encoded(image, "PNG")}).json()["id"]
    small, whole = (
        np.array(Image.open(io.BytesIO(anna.get(f"/v1/diagnoses/{id}/image.jpg", params=asked).content)))
        for asked in ({}, {"whole": True})
    )
    assert small.shape == (768, 1024, 3)
    assert whole.shape == image.shape
    middle = whole[600:650, 800:850].astype(int)
    assert np.abs(middle - image[600:650, 800:850]).mean() < 12
    assert whole[:, 10].mean() < 0.5 * middle.mean(), "dimmed where the model did not look"
    assert len(anna.get(f"/v1/diagnoses/{id}/image.jpg").content) < 2_000_000
