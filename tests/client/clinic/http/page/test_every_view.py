"""Every view in five languages, on a desk and on a telephone, light and dark; with pictures to look at.

SCREENSHOTS=folder scripts/slow tests/client/clinic/http/page/test_every_view.py
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from dermafed.client.clinic.language.languages import CODES
from tests.client.clinic.http.http_node import CLASSES, Node, running, small_diagnoser
from tests.client.clinic.http.page.clinic_day import KINDS, WHO, fill, photographs
from tests.client.clinic.http.page.conftest import SAMPLES
from tests.client.clinic.http.page.test_accessible import violations
from tests.shared.metrics.calibration.sample_calibration import fitted

pytestmark = pytest.mark.slow

FOLDER = os.environ.get("SCREENSHOTS")
DEVICES = {"desk": (1280, 900), "phone": (360, 740)}
# What a language changes does not depend on the colours.
LOOKS = [
    *((device, scheme, "en") for device in DEVICES for scheme in ("light", "dark")),
    *((*look, code) for code in CODES[1:] for look in (("desk", "light"), ("phone", "dark"))),
]
_LOADED = """(async () => {
    const all = [...document.querySelectorAll("img[src]")];
    for (const each of all) each.loading = "eager";
    await Promise.all(all.map((each) => each.decode().catch(() => {})));
    await new Promise((done) => setTimeout(done, 400)); // what is drawn gradually, or asked for afterwards
})()"""
# Of those whose text is cut off at their edge; what is hidden on purpose is one pixel wide.
_CUT_OFF = """[...document.querySelectorAll("main :is(button, .button, .tag, b, p, td, dd, select)")]
    .filter((each) => each.clientWidth > 1 && each.scrollWidth > each.clientWidth + 1)
    .map((each) => each.textContent.trim().slice(0, 60))"""


@dataclass
class Look:
    """A browser of one reader, at a node with a day's diagnoses.

    Attributes:
        page: Playwright's.
        node: whose page it is.
        ids: of a diagnosis of each kind, and ``lesion``.
        name: of the device, the colours and the language.
    """

    page: Any
    node: Node
    ids: dict[str, str]
    name: str

    def open(self, path: str, view: str) -> None:
        """Open a page, and take its picture."""
        self.page.goto(f"{self.node.url}{path}")
        self.take(view)

    def take(self, view: str) -> None:
        """Take a picture of what is shown, and judge it."""
        page = self.page
        page.evaluate(_LOADED)
        if FOLDER:
            page.screenshot(path=self._file(view), full_page=True)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), view
        assert page.evaluate(_CUT_OFF) == [], view
        if self.name.endswith("en"):
            assert violations(page) == [], view

    def print_page(self, kind: str) -> None:
        """The PDF of a diagnosis, as a picture."""
        pdfium = pytest.importorskip("pypdfium2")
        answer = self.page.context.request.get(
            f"{self.node.url}/diagnoses/{self.ids[kind]}/summary.pdf?outline=true",
            headers={"Accept-Language": self.name[-2:]},
        )
        (sheet,) = pdfium.PdfDocument(answer.body())
        if FOLDER:
            sheet.render(scale=1.5).to_pil().save(self._file(f"{kind}-pdf"))

    def _file(self, view: str) -> Path:
        Path(str(FOLDER)).mkdir(parents=True, exist_ok=True)
        return Path(str(FOLDER)) / f"{view}-{self.name}.png"


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Node, dict[str, str]]]:
    calibration = replace(fitted(), classes=CLASSES)
    folder = tmp_path_factory.mktemp("views") / "graz"
    with running(small_diagnoser(), folder, calibration, impression_first=True) as node:
        yield node, fill(node.store, photographs(SAMPLES))


@pytest.fixture(params=LOOKS, ids="-".join)
def look(request: pytest.FixtureRequest, browser: Any, day: tuple[Node, dict[str, str]]) -> Iterator[Look]:
    (device, scheme, code), (node, ids) = request.param, day
    width, height = DEVICES[device]
    context = browser.new_context(
        viewport={"width": width, "height": height}, has_touch=device == "phone", locale=code,
        color_scheme=scheme, reduced_motion="reduce",
    )  # fmt: skip
    cookies = [(each.name, str(each.value)) for each in node.clinician(WHO).cookies.jar]
    context.add_cookies([{"name": name, "value": value, "url": node.url} for name, value in cookies])
    context.set_default_timeout(60_000)
    yield Look(context.new_page(), node, ids, f"{device}-{scheme}-{code}")
    context.close()
    node.tokens.revoke(WHO)


def test_every_view(look: Look, image: Path) -> None:
    page, ids = look.page, look.ids
    for kind in KINDS:
        look.open(f"/diagnoses/{ids[kind]}", kind)
    page.locator("[data-do=full]").click()
    look.take("full-screen")
    page.keyboard.press("Escape")
    for kind in ("alert", "outside", "earlier"):
        look.print_page(kind)
    for path, view in (("/day", "day"), ("/model", "model"), ("/search?id=none", "search")):
        look.open(path, view)
    look.open("/diagnoses/none", "error")
    look.open(f"/lesions/{ids['lesion']}", "lesion")
    page.locator(".stage").first.focus()
    for key in "++":
        page.keyboard.press(key)
    look.take("lesion-zoomed")
    look.open("/", "new")
    page.locator("#file").set_input_files([image, image])
    look.take("new-two")
