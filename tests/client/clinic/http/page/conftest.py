from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.client.clinic.http.http_node import Node, png, running, small_diagnoser
from tests.paths import CHROMIUM, SHARED

SAMPLES = SHARED / "data" / "device_samples"


@dataclass
class Screen:
    """A browser at the page of a running node.

    Attributes:
        page: Playwright's.
        node: whose page it is.
        image: a file to send.
        errors: what the browser printed to its console as errors or warnings.
    """

    page: Any
    node: Node
    image: Path
    errors: list[str] = field(default_factory=list)

    def open(self, path: str) -> None:
        self.page.goto(f"{self.node.url}{path}")

    def sign_in(self) -> None:
        self.open("/")
        self.page.get_by_label("Token").fill(self.node.tokens.make("anna", "clinician"))
        self.page.keyboard.press("Enter")
        self.page.get_by_role("heading", name="New image").wait_for()

    def diagnose(self) -> None:
        self.page.locator("#file").set_input_files(self.image)
        self.page.get_by_role("button", name="Diagnose").click()
        self.page.get_by_role("heading", name="Diagnosis by the model").wait_for()
        self.ready("main")
        self.page.locator("#news", has_text="%").wait_for(state="attached")

    def ready(self, name: str) -> None:
        self.page.locator(f".stage[data-state=ready] [data-map={name}]").wait_for()

    def announcement(self) -> str:
        """The last text for screen readers."""
        return str(self.page.locator("#news").text_content())


@pytest.fixture(scope="module")  # while it lives, no test of another folder can run an event loop
def browser() -> Iterator[Any]:
    sync = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("there is no Chromium on this machine")
    # A context's own `ignore_https_errors` sends a request again for each connection whose certificate
    # failed; of many at once, on a busy machine, Chromium gives some up (ERR_TOO_MANY_RETRIES).
    arguments = ["--no-sandbox", "--ignore-certificate-errors"]
    with sync.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with running(small_diagnoser(), tmp_path_factory.mktemp("page") / "graz") as started:
        yield started


@pytest.fixture(scope="session")
def uncertain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """A node whose network gives the same heatmap for every class."""
    with running(small_diagnoser(certainty=0.5), tmp_path_factory.mktemp("page") / "linz") as started:
        yield started


@pytest.fixture(scope="session")
def impression_first(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """A node whose page asks for a clinician's impression before it shows the model's answer."""
    with running(
        small_diagnoser(), tmp_path_factory.mktemp("page") / "wien", impression_first=True
    ) as started:
        yield started


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real one as a device delivers it, where there is one beside the checkout."""
    real = sorted(SAMPLES.glob("*.jpg"))
    if real:
        return real[2]
    drawn = tmp_path_factory.mktemp("image") / "drawn.png"
    drawn.write_bytes(png())
    return drawn


@pytest.fixture(params=[(1280, 900), (360, 740)], ids=["desktop", "phone"])
def screen(request: pytest.FixtureRequest, browser: Any, node: Node, image: Path) -> Iterator[Screen]:
    width, height = request.param
    context = browser.new_context(viewport={"width": width, "height": height}, has_touch=width < 400)
    context.set_default_timeout(60_000)
    shown = Screen(context.new_page(), node, image)
    shown.page.on(
        "console", lambda line: shown.errors.append(line.text) if line.type in ("error", "warning") else None
    )
    shown.page.on("pageerror", lambda error: shown.errors.append(str(error)))
    yield shown
    context.close()
    shown.node.tokens.revoke("anna")
    assert shown.errors == []
