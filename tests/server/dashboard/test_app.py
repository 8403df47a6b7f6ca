"""The dashboard in process: who gets in, what the pages show, and that no text becomes HTML."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from starlette.routing import Mount, Route
from starlette.testclient import TestClient

from dermafed.server.coordinator.health import ServerState, health_app
from dermafed.server.coordinator.query_answers import QueryAnswers, save_answers
from dermafed.server.dashboard.access import COOKIE
from dermafed.server.dashboard.app import dashboard_app
from dermafed.server.dashboard.tokens import TOKENS, Tokens
from dermafed.server.record.queries_table import Query
from dermafed.server.record.record_database import now
from dermafed.server.record.silences_table import save_silences
from dermafed.shared.storage.lock import lock_folder
from tests.server.dashboard.example_federation import (
    EVIL,
    Federation,
    add_example_run,
    federation,
    open_training,
)
from tests.shared.counts.sample_lesions import sample_counts
from tests.shared.counts.sample_months import sample_months

HOME = "http://localhost:9444"
FEW = ["enns", "graz", "linz", "melk", "wels"]
MANY = [f"clinic-{number:03d}" for number in range(100)]
PAGES = (
    "/",
    "/runs/1",
    "/runs/2?clinic=graz",
    f"/runs/2?clinic={quote(EVIL)}",
    "/models",
    "/models/1",
    "/models/compare?a=1&b=2",
    "/counts",
)


@pytest.fixture(scope="module")
def alps(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Federation]:
    found = federation(tmp_path_factory.mktemp("alps") / "alps", FEW)
    add_example_run(found, "first", FEW)
    add_example_run(found, "second", FEW, rounds=20, pixels=64)
    open_training(found, "second", FEW)
    save_silences(found.record, {"linz": 4.0})
    lesions = QueryAnswers(1, now(), {"graz": sample_counts()}, {"linz": EVIL})
    save_answers(found.folder, Query(1, "lesions", now(), now(), ""), lesions)
    drift = QueryAnswers(2, now(), {"graz": sample_months().published()}, {})
    save_answers(found.folder, Query(2, "drift", now(), now(), ""), drift)
    with lock_folder(found.folder):  # as the server does
        yield found


@pytest.fixture
def client(alps: Federation) -> TestClient:
    app = health_app(lambda: ServerState(5, 3), dashboard_app(alps.folder, lambda: {"wels"}))
    return TestClient(app, HOME, follow_redirects=False)


@pytest.fixture
def token(alps: Federation) -> Iterator[str]:
    tokens = Tokens(alps.folder / TOKENS)
    yield tokens.make("anna")
    tokens.revoke("anna")


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def test_these_tests_know_every_route(alps: Federation) -> None:
    routes = dashboard_app(alps.folder).routes
    paths = {route.path for route in routes if isinstance(route, Route)}
    known = {re.sub(r"/\d+", "/{number:int}", path.partition("?")[0]) for path in PAGES}
    assert paths == known | {"/events", "/sign-in", "/sign-out"}
    assert [route.path for route in routes if isinstance(route, Mount)] == ["/static"]


@pytest.mark.parametrize("path", [*PAGES, "/events", "/nowhere"])
def test_without_a_token_there_is_nothing(client: TestClient, token: str, path: str) -> None:
    for headers in ({}, bearer(token[:-1] + "!"), {"cookie": f"{COOKIE}=guess"}):
        answer = client.get(path, headers=headers)
        assert (answer.status_code, answer.content) == (401, b"")
    sent = client.get(path, headers={"accept": "text/html"})
    assert (sent.status_code, sent.headers["location"], sent.content) == (303, "/sign-in", b"")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),  # another port of this machine
        ({"origin": "http://localhost:8888"}, 403),
        ({"origin": "null"}, 403),
        ({"host": "derma.example.org:9444"}, 421),  # DNS rebinding
        ({"host": "127.0.0.1.example.org"}, 421),
        ({"sec-fetch-site": "same-origin", "origin": "null"}, 200),  # a form of a page without referrer
        ({"host": "[::1]:9444"}, 200),
        ({"host": "127.0.0.1:9444", "sec-fetch-site": "none"}, 200),
    ],
)
def test_another_origin_or_host_gets_nothing_even_with_a_token(
    client: TestClient, token: str, headers: dict[str, str], status: int
) -> None:
    calls = [("GET", path) for path in (*PAGES, "/events", "/sign-in", "/static/live.js")]
    for method, path in [*calls, ("POST", "/sign-in"), ("POST", "/sign-out")] if status != 200 else calls[:1]:
        answer = client.request(method, path, headers=bearer(token) | headers)
        assert answer.status_code == status, path
        assert bool(answer.content) == (status == 200)
        assert "access-control-allow-origin" not in answer.headers


def test_the_health_checks_stay_open_to_monitors(client: TestClient) -> None:
    assert client.get("/health").json()["online"] == 3


def test_a_browser_signs_in_and_out_and_loses_access_with_its_token(
    client: TestClient, alps: Federation
) -> None:
    tokens = Tokens(alps.folder / TOKENS)
    secret = tokens.make("bert")
    saved = (alps.folder / TOKENS / "bert.json").read_text()
    assert secret not in saved
    assert hashlib.sha256(secret.encode()).hexdigest() in saved
    assert client.post("/sign-in", data={"token": "wrong"}).status_code == 401
    done = client.post("/sign-in", data={"token": f" {secret} "})
    assert (done.status_code, done.headers["location"]) == (303, "/")
    cookie = done.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert client.get("/").status_code == 200
    client.post("/sign-out")
    assert client.get("/").status_code == 401
    client.post("/sign-in", data={"token": secret})
    tokens.revoke("bert")
    assert client.get("/").status_code == 401


@pytest.mark.parametrize("path", PAGES)
def test_no_text_becomes_html_and_nothing_is_loaded_from_elsewhere(
    client: TestClient, token: str, path: str
) -> None:
    answer = client.get(path, headers=bearer(token))
    assert answer.status_code == 200, answer.text
    assert EVIL not in answer.text
    assert re.findall(r"<script[^>]*>", answer.text) == ['<script src="/static/live.js" defer>']
    assert not re.search(r"\son\w+=|\sstyle=|<style|javascript:", answer.text)
    assert not re.search(r'(?:src|href|action)="(?!/|\?|#)', answer.text)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-frame-options"] == "DENY"


def text_of(client: TestClient, token: str, path: str) -> str:
    html = client.get(path, headers=bearer(token)).text
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


def test_the_run_s_page_says_who_failed_who_is_late_and_who_refused(client: TestClient, token: str) -> None:
    text = text_of(client, token, "/runs/2")
    for words in (
        "8 of 20 rounds are finished",
        "Now round 9, training: 1 of 3 clinics have replied",
        "enns training failed there (OSError)",
        "Late: graz",
        "linz not heard since",
        "melk is not connected",
        "wels refused: &lt;script&gt;",
        "640.0 MB, 320.0 MB",
        "4.20 out of line",
        "A round needs 3 of the 5 clinics. They have 30m to train",
        "No clinic has more than 50 % of the mean",
    ):
        assert words in text, words
    overview = text_of(client, token, "/")
    assert overview.count("Pending invitations") == 1
    chips = re.findall(r"(\w+) (?:not heard|not connected|since)", overview.split(" Clinics ")[1])
    assert chips == ["linz", "melk", "wels", "enns", "graz"]
    assert "wels" in overview.split("Pending invitations")[1].split("Clinics")[0]


def test_what_few_images_say_is_neither_drawn_nor_written(client: TestClient, token: str) -> None:
    html = client.get("/runs/2", headers=bearer(token)).text
    panels = dict(re.findall(r"<h3>(.*?)</h3>(.*?)</figure>", html, re.DOTALL))
    drawn = {title: set(re.findall(r"<title>(.*?): ", body)) for title, body in panels.items()}
    assert drawn["Training loss"] == {"enns", "graz", "linz", "melk", "all clinics"}
    assert drawn["Balanced accuracy"] == {"graz", "linz", "melk", "all clinics"}
    assert drawn["Melanomas found"] == {"linz", "melk"}
    assert "Not shown: 1 with too few images" in panels["Balanced accuracy"]
    row = re.search(r"<tr>\s*<th scope=\"row\"><a [^>]*>enns</a>.*?</tr>", html, re.DOTALL)
    assert row is not None
    cells = re.findall(r"<td[^>]*>(.*?)</td>", row[0], re.DOTALL)
    assert cells[-3:-1] == ["–", "–"]
    colours = [dict(re.findall(r'class="line (c\d)"><title>(\w+):', body)) for body in panels.values()]
    assert len({(colour, name) for own in colours for colour, name in own.items()}) == 4  # one a clinic


def test_two_models_are_compared_by_what_differs(client: TestClient, token: str) -> None:
    html = client.get("/models/compare?a=1&b=2", headers=bearer(token)).text
    differing = html.split("What is the same")[0]
    rows = re.findall(r'<th scope="row">([^<]*)</th><td>([^<]*)</td><td>([^<]*)</td>', differing)
    assert {name: (a, b) for name, a, b in rows} == {
        "rounds": ("12", "20"),
        "image_size": ("32", "64"),
        "clahe_grid": ("4", "8"),  # follows from it
    }
    assert "fedavg" not in differing
    assert client.get("/models/compare?a=1&b=9", headers=bearer(token)).status_code == 404


def test_an_unknown_run_is_named_and_nothing_else_is(client: TestClient, token: str) -> None:
    answer = client.get("/runs/77", headers=bearer(token))
    assert (answer.status_code, "There is no run &#39;77&#39;" in answer.text) == (404, True)
    assert client.get("/nowhere", headers=bearer(token)).status_code == 404
    assert client.post("/", headers=bearer(token)).status_code == 405


def test_a_hundred_clinics_are_few_lines_of_legend_and_the_troubled_come_first(tmp_path: Path) -> None:
    found = federation(tmp_path / "alps", MANY)
    add_example_run(found, "large", MANY, rounds=40, done=30)
    open_training(found, "large", MANY, round=31)
    secret = Tokens(found.folder / TOKENS).make("anna")
    with lock_folder(found.folder):
        client = TestClient(dashboard_app(found.folder), HOME)
        html = client.get("/runs/1?clinic=clinic-050", headers=bearer(secret)).text
        alone = client.get("/models", headers=bearer(secret)).text
    assert 'href="/models/1"' in alone
    assert "Compare A with B" not in alone  # there is one run
    assert [html.count(f'<li class="chip {name}"') for name in ("problem", "late", "out", "off")] == [1] * 4
    first = re.findall(r'#curves">(clinic-\d+)</a>', html.split('id="curves"')[0])
    assert first[:4] == ["clinic-000", "clinic-001", "clinic-099", "clinic-098"]
    assert first[4:] == sorted(first[4:])
    assert html.count("<li><svg") == 3 * 3 - 1  # many, the chosen one, and all together where there is such
    assert html.count("<polyline") == 2 * (3 * 3 - 1 - 3)  # a curve and its key, and an area for the many
    assert "97 clinics and their middle half, last from 0.560 to 0.720" in html
    assert re.findall(r"Worst: <a href=\"\?clinic=(clinic-\d+)#curves\">", html) == [
        "clinic-006",
        "clinic-008",
        "clinic-004",
    ]
    answers = html.split("who approved it")[1]
    assert re.findall(r'row">(clinic-\d+)</th><td>', answers)[:2] == ["clinic-099", "clinic-000"]
    assert len(html) < 300_000


def test_counts_are_shown_with_what_departs(client: TestClient, token: str) -> None:
    page = " ".join(re.sub("<[^>]+>", " ", client.get("/counts", headers=bearer(token)).text).split())
    assert (
        "nevus 30 30 to 34 melanoma 10 10 to 14" in page or "melanoma 10 10 to 14 nevus 30 30 to 34" in page
    )
    assert "female 11 11 to 39 male 15 15 to 19" in page
    assert "More alerts than the calibration lets expect, in twelve months: " in page
    assert "twelve months 480 to 484 200 to 204 130 to 134 70 to 74" in page
