"""Sending over a slow network: progress that is true, and no image twice."""

from __future__ import annotations

import re
import time
from datetime import date
from typing import Any

import pytest

from tests.client.clinic.http.page.conftest import Screen

pytestmark = pytest.mark.slow

BYTES_A_SECOND = 40_000

_LOSE_THE_FIRST_ANSWER = """
    let lost = false;
    const add = XMLHttpRequest.prototype.addEventListener;
    XMLHttpRequest.prototype.addEventListener = function (name, listener) {
        if (name !== "load" || lost) return add.call(this, name, listener);
        lost = true;
        add.call(this, "load", () => this.dispatchEvent(new ProgressEvent("error")));
    };
"""


def slowed(page: Any) -> None:
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    session.send(
        "Network.emulateNetworkConditions",
        {
            "offline": False, "latency": 300, "downloadThroughput": BYTES_A_SECOND,
            "uploadThroughput": BYTES_A_SECOND,
        },
    )  # fmt: skip


def test_at_40_kilobytes_a_second_progress_is_that_of_the_bytes(screen: Screen) -> None:
    page, store = screen.page, screen.node.store
    from playwright.sync_api import Error

    before, size = len(store.list_day(date.today())), screen.image.stat().st_size
    screen.sign_in()
    slowed(page)
    screen.open("/")
    page.locator("#file").set_input_files(screen.image)
    start = time.monotonic()
    page.get_by_role("button", name="Diagnose").click()
    seen: list[tuple[float, int]] = []
    while "/diagnoses/" not in page.url:
        assert time.monotonic() - start < 300
        try:
            text, disabled = page.evaluate(
                "['#queue p', '#send'].map((each) => document.querySelector(each))"
                ".map((each) => each?.disabled ?? each?.textContent ?? '')"
            )
        except Error:  # the next page has come
            continue
        assert disabled is not False, "it could be sent twice"
        if found := re.match(r"Sending: (\d+) % of ", text):
            seen.append((time.monotonic() - start, int(found[1])))
        page.wait_for_timeout(500)
    shares = [share for _, share in seen]
    assert shares == sorted(shares)
    assert len(set(shares)) >= 5
    # What is on its way may be ahead of the network by what the browser's buffers hold.
    for seconds, share in seen[2:]:
        assert share / 100 * size <= BYTES_A_SECOND * (seconds + 1) + 2**17
    screen.ready("main")
    assert len(store.list_day(date.today())) == before + 1


def test_a_lost_answer_makes_no_second_diagnosis(screen: Screen) -> None:
    page, store = screen.page, screen.node.store
    before = len(store.list_day(date.today()))
    page.add_init_script(_LOSE_THE_FIRST_ANSWER)
    screen.sign_in()
    page.locator("#file").set_input_files(screen.image)
    page.get_by_role("button", name="Diagnose").click()
    page.get_by_role("alert").wait_for()
    assert "The node does not answer" in page.get_by_role("alert").inner_text()
    page.get_by_role("button", name="Diagnose").click()
    page.get_by_role("heading", name="Diagnosis by the model").wait_for()
    assert len(store.list_day(date.today())) == before + 1
