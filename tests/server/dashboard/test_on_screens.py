"""A hundred clinics in a browser: nothing is wider than the screen, and an open page renews itself."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from dermafed.server.coordinator.listener import listening
from dermafed.server.dashboard.app import dashboard_app
from dermafed.server.dashboard.tokens import TOKENS, Tokens
from dermafed.server.record.silences_table import save_silences
from dermafed.shared.storage.lock import lock_folder
from tests.paths import CHROMIUM
from tests.server.dashboard.example_federation import (
    Federation,
    add_example_run,
    federation,
    open_training,
)

pytestmark = pytest.mark.slow

CLINICS = [f"clinic-{number:03d}" for number in range(100)]
PAGES = ("/", "/runs/1", "/runs/1?clinic=clinic-050", "/models", "/models/1", "/models/compare?a=1&b=2")


@pytest.fixture(scope="module")
def alps(tmp_path_factory: pytest.TempPathFactory) -> Federation:
    made = federation(tmp_path_factory.mktemp("alps") / "alps", CLINICS)
    add_example_run(made, "large", CLINICS, rounds=40, done=30)
    add_example_run(made, "larger", CLINICS, rounds=40, done=30, pixels=64)
    open_training(made, "large", CLINICS, round=31)
    return made


@pytest.fixture(scope="module")
def page(alps: Federation) -> Iterator[Any]:
    """A signed-in browser; what it writes to its console fails the test."""
    sync = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("there is no Chromium on this machine")
    written: list[str] = []
    with (
        lock_folder(alps.folder),
        listening(dashboard_app(alps.folder), "localhost", 0) as port,
        sync.sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        opened = browser.new_page(base_url=f"http://localhost:{port}")
        opened.on("console", lambda line: written.append(f"{line.type}: {line.text}"))
        opened.on("pageerror", lambda error: written.append(f"error: {error}"))
        opened.goto("/sign-in")
        opened.get_by_label("Token").fill(Tokens(alps.folder / TOKENS).make("anna"))
        opened.keyboard.press("Enter")
        opened.get_by_role("heading", name="Pending invitations").wait_for()
        yield opened
        browser.close()
    assert [line for line in written if line.startswith(("error", "warning"))] == []


@pytest.mark.parametrize("size", [(1280, 900), (360, 740)], ids=["desktop", "phone"])
def test_no_page_is_wider_than_the_screen(page: Any, size: tuple[int, int]) -> None:
    page.set_viewport_size({"width": size[0], "height": size[1]})
    for path in PAGES:
        assert page.goto(path).status == 200
        assert page.evaluate("document.documentElement.scrollWidth") == size[0], path


def test_an_open_page_renews_itself_within_seconds(page: Any, alps: Federation) -> None:
    page.goto("/runs/1")
    page.locator("#clinics").get_by_text("has replied (training)").first.wait_for()
    save_silences(alps.record, {"clinic-007": 4.0})
    begun = time.monotonic()
    page.locator("#clinics").get_by_text("not heard since").wait_for()
    assert time.monotonic() - begun < 5.0
    assert "clinic-007" in page.locator("#clinics tbody tr").nth(1).inner_text()  # after the one that failed
