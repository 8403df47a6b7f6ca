"""axe-core's judgement of every view."""

from __future__ import annotations

from typing import Any

import pytest

from tests.client.clinic.http.page.conftest import Screen

pytestmark = pytest.mark.journey

SERIOUS = ("serious", "critical")


def violations(page: Any) -> list[str]:
    """What axe finds that is serious, with the elements."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    found = axe.run(page).response["violations"]
    return [
        f"{each['id']}: {[node['html'] for node in each['nodes']]}"
        for each in found
        if each["impact"] in SERIOUS
    ]


def test_no_view_has_a_serious_accessibility_violation(screen: Screen) -> None:
    page = screen.page
    screen.open("/sign-in")
    assert violations(page) == []
    page.get_by_label("Token").fill("wrong")
    page.keyboard.press("Enter")
    page.get_by_role("alert").wait_for()
    screen.errors.clear()  # the browser notes the status, 401
    assert violations(page) == []
    screen.sign_in()
    page.locator("#file").set_input_files([screen.image, screen.image])
    assert violations(page) == []
    page.get_by_role("button", name="Remove").first.click()
    page.get_by_role("button", name="Remove").first.click()
    screen.diagnose()
    page.get_by_text("Compare two classes").click()
    page.get_by_text("Similar cases of this clinic").click()
    page.locator("#similar-note").filter(has_not_text="Searching").wait_for()  # others may have made an index
    page.get_by_text("Who viewed this diagnosis").click()
    page.get_by_label("I disagree").check()
    screen.ready("side-1")
    assert violations(page) == []
    for path in ("/day", "/search?id=none", "/model"):
        screen.open(path)
        assert violations(page) == []
