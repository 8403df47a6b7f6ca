"""The page on paper: PDFs by Chromium, read by PDFium."""

from __future__ import annotations

import io
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from tests.client.clinic.http.page.conftest import Screen

pytestmark = pytest.mark.journey

BLOCKS = (16, 12)  # small enough for a heatmap to be seen, large enough for two renderings to agree


EDGE = 20
"""The blocks of an edge have up to half a pixel more of what lies beside the picture."""


def blocks(picture: Any) -> np.ndarray:
    return cv2.resize(np.array(picture.convert("RGB")), BLOCKS, interpolation=cv2.INTER_AREA).astype(float)


def printed(pdf: bytes, pictures: int = 1) -> list[Any]:
    """The photographs of a PDF, as its pages show them, with all that lies over them."""
    pdfium = pytest.importorskip("pypdfium2")
    found = []
    for page in pdfium.PdfDocument(pdf):
        for each in page.get_objects(filter=[pdfium.raw.FPDF_PAGEOBJ_IMAGE], max_depth=1):
            left, bottom, right, top = each.get_bounds()
            crop = (left, bottom, page.get_width() - right, page.get_height() - top)
            found.append(page.render(scale=2, crop=crop).to_pil())
    assert len(found) == pictures
    return found


def words(pdf: bytes) -> str:
    """The text of a PDF, in one line."""
    pdfium = pytest.importorskip("pypdfium2")
    return " ".join(
        " ".join(page.get_textpage().get_text_range() for page in pdfium.PdfDocument(pdf)).split()
    )


@pytest.mark.parametrize("paper", [{"format": "A4"}, {"format": "A4", "landscape": True}])
def test_paper_shows_the_picture_of_the_screen(screen: Screen, paper: dict[str, Any]) -> None:
    page = screen.page
    screen.sign_in()
    screen.diagnose()
    stage = page.locator(".stage").first
    page.evaluate("document.querySelector('.use').hidden = true")  # it would lie over what is scrolled

    def on_screen() -> np.ndarray:
        page.wait_for_timeout(300)  # the heatmap comes and goes gradually
        return blocks(Image.open(io.BytesIO(stage.screenshot())))

    def on_paper() -> np.ndarray:
        return blocks(printed(page.pdf(**paper))[0])

    with_heatmap = on_screen()
    assert np.abs(on_paper() - with_heatmap).max() < EDGE
    page.get_by_role("button", name="Hide").click()
    without = on_screen()
    assert np.abs(with_heatmap - without).max() > 40, "the heatmap is seen"
    assert np.abs(on_paper() - without).max() < EDGE
    page.get_by_role("button", name="Show").click()
    page.get_by_role("button", name="Zoom in").click()
    assert np.abs(on_screen() - with_heatmap).max() > EDGE
    assert np.abs(on_paper() - with_heatmap).max() < EDGE, "on paper is all of the picture"
