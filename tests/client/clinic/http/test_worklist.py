"""The worklist of a day: by risk, filtered, searched, and never wrong about which opinion counts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from html import unescape
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dermafed.client.clinic.answers.melanoma_line import melanoma_line
from dermafed.client.clinic.diagnosis.diagnoser import Diagnoser
from dermafed.client.clinic.diagnosis.diagnosis import Diagnosis
from dermafed.client.clinic.http.worklist import make_worklist
from dermafed.client.clinic.store.opinions import Opinion
from tests.client.clinic.answers.sample import ALERTED
from tests.client.clinic.http.http_node import Node, running
from tests.client.clinic.lesions import NOT_FOUND
from tests.client.clinic.store.samples import save_one

AGREES = Opinion("anna", True)


def made(number: int, melanoma: float, alert: bool | None, doubt: int) -> Diagnosis:
    """A diagnosis that is clear (0), too close to call (1), out of distribution (2) or without lesion (3)."""
    return replace(
        ALERTED,
        id=f"{number:032x}",
        probabilities={"melanoma": melanoma, "nevus": 1 - melanoma},
        alert=alert,
        unsure=doubt == 1,
        outside=doubt == 2,
        lesion=NOT_FOUND if doubt == 3 else None,
    )


Cases = list[tuple[float, bool | None, int, bool]]
ALERTS = st.sampled_from([True, False, None])


@given(st.lists(st.tuples(st.floats(0, 1), ALERTS, st.integers(0, 3), st.booleans()), max_size=12))
def test_it_is_sorted_by_risk_and_each_filter_shows_its_own(given: Cases) -> None:
    found = [made(number, *each[:3]) for number, each in enumerate(given)]
    opinions = {one.id: [AGREES] for one, each in zip(found, given, strict=True) if each[3]}
    rows = [row.diagnosis for row in make_worklist(found, opinions).rows]
    assert sorted(each.id for each in rows) == [each.id for each in found]
    for higher, lower in pairwise(rows):
        order = [
            (bool(one.alert), not one.alert and (one.undecided or one.alert is None))
            for one in (higher, lower)
        ]
        assert order[0] >= order[1]
        if order[0] == order[1]:
            assert higher.probabilities["melanoma"] >= lower.probabilities["melanoma"]
    want = {
        "all": [True] * len(given),
        "alert": [alert is True for _, alert, _, _ in given],
        "undecided": [doubt > 0 for _, _, doubt, _ in given],
        "open": [not said for *_, said in given],
    }
    for name, keep in want.items():
        shown = make_worklist(found, opinions, name)
        ids = {each.id for each, kept in zip(found, keep, strict=True) if kept}
        assert {row.diagnosis.id for row in shown.rows} == ids
        assert {one: count for one, _, count in shown.counts}[name] == len(ids)


@pytest.fixture(scope="module")
def node(diagnoser: Diagnoser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with running(diagnoser, tmp_path_factory.mktemp("worklist") / "graz") as started:
        yield started


def rows(page: str) -> dict[str, str]:
    """The text of each row of a worklist, in their order, by id."""
    found = re.findall(r'<tr data-id="(\w+)".*?</tr>', page, re.DOTALL)
    texts = re.findall(r"<tr data-id=.*?</tr>", page, re.DOTALL)
    return {
        id: re.sub(r"\s+", " ", unescape(re.sub("<[^>]*>", " ", text)))
        for id, text in zip(found, texts, strict=True)
    }  # fmt: skip


def test_a_row_says_what_the_model_says_and_which_opinion_counts(node: Node) -> None:
    store, anna = node.store, node.clinician("of-worklist")
    alert = {
        "alert": True, "alert_threshold": 0.02, "miss_rate": ALERTED.miss_rate, "possible": (),
        "probabilities": {"melanoma": 0.1, "nevus": 0.9}, "cautions": (),
    }  # fmt: skip
    calm = save_one(store, 1, cautions=(), unsure=True)
    first = save_one(store, 2, **alert)
    none = save_one(store, 3, **{**alert, "alert": False}, lesion=NOT_FOUND)
    store.add_opinion(calm.id, Opinion("ben", False, "melanoma", "<b>streaks</b>"))
    store.add_opinion(calm.id, Opinion("ben", True))
    store.add_opinion(first.id, Opinion("ben", False, "melanoma", confirmed_by="histopathology"))
    store.withdraw_opinion(first.id, "ben")
    shown = rows(anna.get("/day").text)
    assert list(shown) == [first.id, calm.id, none.id] or list(shown) == [first.id, none.id, calm.id]
    assert "10 % alert nevus 90 % first, round 3 left forearm none yet" in shown[first.id]
    assert "25 % no threshold nevus 75 % undecided first, round 3 left forearm ben agrees" in shown[calm.id]
    assert "not judged no lesion found" in shown[none.id]
    assert "%" not in shown[none.id]
    assert list(rows(anna.get(f"/day/{date.today()}?show=open").text)) == [
        each for each in shown if each != calm.id
    ]
    assert list(rows(anna.get("/day?show=alert").text)) == [first.id]
    assert rows(anna.get("/day?show=<b>").text) == shown
    for made_one in (first, none):
        assert anna.get(f"/v1/diagnoses/{made_one.id}/thumbnail.jpg").content.startswith(b"\xff\xd8")


@given(st.floats(0, 1), st.floats(0.001, 1))
def test_a_percentage_is_on_the_right_side_of_the_threshold(melanoma: float, threshold: float) -> None:
    made_one = replace(made(1, melanoma, melanoma >= threshold, 0), alert_threshold=threshold)
    (row,) = make_worklist([made_one], {}).rows
    assert row.shown == melanoma_line(made_one).figures.split("melanoma ")[1].split(";")[0]
    assert make_worklist([replace(made_one, outside=True)], {}).rows[0].shown == ""


def test_a_diagnosis_is_found_by_the_start_of_its_id(node: Node) -> None:
    anna = node.clinician("of-search")
    one, other = (save_one(node.store, seed, id=f"ab{seed}" + "0" * 28) for seed in (12, 13))
    found = anna.get("/search", params={"id": f" {one.id[:4].upper()} "})
    assert (found.status_code, found.headers["location"]) == (303, f"/diagnoses/{one.id}")
    assert anna.get("/search", params={"id": other.id}).headers["location"] == f"/diagnoses/{other.id}"
    third = save_one(node.store, 14, id="ab13" + "1" * 28)
    page = anna.get("/search", params={"id": "ab13"}).text
    assert f"/diagnoses/{other.id}" in page
    assert f"/diagnoses/{third.id}" in page
    for nothing in ("ab1", "", "zzzz", "%%%%", "ab12f", "<script>"):
        page = anna.get("/search", params={"id": nothing})
        assert page.status_code == 200
        assert "No diagnosis starts with" in page.text
        assert "<script>" not in page.text


def test_an_opinion_is_withdrawn_by_who_gave_it(node: Node) -> None:
    made_one = save_one(node.store, 21)
    address = f"/v1/diagnoses/{made_one.id}/opinions"
    anna, ben = node.clinician("anna-withdraws"), node.clinician("ben-says")
    assert anna.delete(address).status_code == 404
    ben.post(address, json={"agrees": True})
    anna.post(address, json={"agrees": True})
    assert anna.post(address, json={"agrees": False, "label": "melanoma"}).json()["standing"] == "current"
    expected = [("ben-says", "current"), ("anna-withdraws", "replaced"), ("anna-withdraws", "current")]
    assert [(each["who"], each["standing"]) for each in anna.get(address).json()] == expected
    page = anna.get(f"/diagnoses/{made_one.id}").text
    assert page.count(">Undo</button>") == 1, "of others' opinions there is none"
    withdrawn = anna.delete(address).json()
    assert [each["standing"] for each in withdrawn] == ["current", "replaced", "withdrawn"]
    assert withdrawn == anna.get(address).json()
    assert anna.delete(address).status_code == 404
    assert ">Undo</button>" not in anna.get(f"/diagnoses/{made_one.id}").text
    device = node.device("camera-of-withdrawal")
    assert {device.get(address).status_code, device.delete(address).status_code} == {403}
