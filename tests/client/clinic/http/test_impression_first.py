"""The clinician's own impression comes before the model's answer, as clinics choose by default."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from dermafed.client.clinic.diagnosis.diagnoser import Diagnoser
from dermafed.client.clinic.diagnosis.diagnosis import Diagnosis
from dermafed.client.clinic.http.serve_settings import ServeSettings
from dermafed.client.clinic.store.opinions import Opinion
from tests.client.clinic.answers.sample import ALERTED
from tests.client.clinic.http.http_node import Node, running
from tests.client.clinic.http.test_worklist import rows
from tests.client.clinic.store.samples import save_one


@pytest.fixture(scope="module")
def node(diagnoser: Diagnoser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    default = ServeSettings().impression_first
    with running(diagnoser, tmp_path_factory.mktemp("first") / "graz", impression_first=default) as started:
        yield started


def alerted(node: Node, seed: int) -> Diagnosis:
    """An alert, and a class that is nowhere else on the page."""
    return save_one(
        node.store, seed, alert=True, alert_threshold=0.02, miss_rate=ALERTED.miss_rate, possible=(),
        probabilities={"melanoma": 0.36, "nevus": 0.64}, unsure=True, cautions=(),
    )  # fmt: skip


def give(clinician: httpx.Client, id: str, label: str) -> httpx.Response:
    return clinician.post(f"/diagnoses/{id}/impression", data={"label": label})


def test_until_an_impression_is_given_nothing_of_the_models_answer_is_shown(node: Node) -> None:
    made, anna = alerted(node, 1), node.clinician("anna-first")
    before = anna.get(f"/diagnoses/{made.id}").text
    assert "Your impression first" in before
    for part in ("%", "alert", "Alert", "Undecided", "heat.png", "excluded"):
        assert part not in before, part
    order = [before.index(f'value="{name}"') for name in ("melanoma", "nevus")]
    assert order == sorted(order), (
        "the order of the classes is that of the alphabet, not of the probabilities"
    )
    answer = give(anna, made.id, "nevus")
    assert (answer.status_code, answer.headers["location"]) == (303, f"/diagnoses/{made.id}")
    after = anna.get(f"/diagnoses/{made.id}").text
    assert "Alert: melanoma not excluded" in after
    assert "Your impression before you saw the model's answer: <b>nevus</b>" in after
    assert [(each.who, each.label) for each in node.store.list_impressions(made.id)] == [
        ("anna-first", "nevus")
    ]
    assert "Your impression first" in node.clinician("ben-first").get(f"/diagnoses/{made.id}").text
    assert node.store.list_opinions(made.id) == [], "an impression is no opinion"


def test_an_impression_is_given_once_and_names_a_class(node: Node) -> None:
    made, anna = alerted(node, 2), node.clinician("anna-once")
    assert give(anna, made.id, "<b>").status_code == 400
    assert anna.post(f"/diagnoses/{made.id}/impression").status_code == 400
    assert give(anna, made.id, "").status_code == 303
    assert "answer: <b>cannot say</b>" in anna.get(f"/diagnoses/{made.id}").text
    assert give(anna, made.id, "melanoma").status_code == 400
    assert [each.label for each in node.store.list_impressions(made.id)] == [None]
    assert give(anna, "none", "nevus").status_code == 404
    crossed = anna.post(
        f"/diagnoses/{made.id}/impression", data={"label": "nevus"}, headers={"Origin": "https://elsewhere"}
    )
    assert crossed.status_code == 403
    device = node.device("camera-first").post(f"/diagnoses/{made.id}/impression", data={"label": "nevus"})
    assert device.status_code == 403


def test_the_worklist_hides_what_waits_for_an_impression(node: Node) -> None:
    anna = node.clinician("anna-list")
    seen, hidden, said = alerted(node, 3), alerted(node, 4), alerted(node, 5)
    give(anna, seen.id, "other")
    node.store.add_opinion(said.id, Opinion("anna-list", False, "melanoma"))
    node.store.add_opinion(hidden.id, Opinion("ben-list", False, "melanoma"))
    shown = rows(anna.get("/day").text)
    assert "36 % alert" in shown[seen.id]
    assert "36 % alert" in shown[said.id]
    assert "your impression first" in shown[hidden.id]
    assert "1 of others" in shown[hidden.id]
    for part in ("36", "melanoma", "nevus", "undecided"):
        assert part not in shown[hidden.id], part
    order = list(shown)
    assert order.index(hidden.id) < min(order.index(each.id) for each in (seen, said))
    assert hidden.id in rows(anna.get("/day?show=alert").text), "who asks for alerts is shown which they are"
