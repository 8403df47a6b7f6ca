"""The lesion on the page: its outline apart from the heatmap, also on paper; or that none was found."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from dermafed.client.clinic.diagnosis.lesion import Lesion
from dermafed.shared.imaging.resize import resize
from tests.client.clinic.http.http_node import CLASSES, SIDE
from tests.client.clinic.http.page.conftest import Screen
from tests.client.clinic.http.page.test_accessible import violations
from tests.client.clinic.http.page.test_print import blocks, printed, words
from tests.client.clinic.lesions import FOUND, NOT_FOUND, photograph
from tests.client.clinic.store.samples import diagnosis, received

pytestmark = pytest.mark.journey


def open_diagnosis(screen: Screen, lesion: Lesion | None) -> None:
    of = received(0, image=photograph())
    probabilities = dict(zip(CLASSES, (0.2, 0.75, 0.05), strict=True))
    made = diagnosis(of, probabilities=probabilities, cautions=(), lesion=lesion)
    screen.node.store.save(made, of, resize(of.image, SIDE, "crop"))
    screen.sign_in()
    screen.open(f"/diagnoses/{made.id}")
    screen.ready("main")


def test_the_outline_lies_around_the_lesion_on_screen_and_on_paper(screen: Screen) -> None:
    page = screen.page
    open_diagnosis(screen, FOUND)
    card = page.locator("section.lesion")
    assert "Measured by a program" in card.inner_text()
    assert card.locator("dd").nth(1).inner_text().endswith(" mm")
    stage = card.locator(".stage")
    shot = Image.open(io.BytesIO(stage.screenshot())).convert("RGB")
    # White are only the pixels of the outline; the disc is in the middle, its radius a fifth of the height.
    y, x = np.nonzero((np.array(shot) > 245).all(axis=2))
    middle = np.array([shot.width / 2, shot.height / 2])
    away = np.linalg.norm(np.stack([x, y], 1) + 0.5 - middle, axis=1)
    away = away[away < shot.height / 3]  # not the rounded corners of the picture
    assert len(away) > 100
    assert away == pytest.approx(shot.height / 5, abs=0.03 * shot.height)
    assert not page.locator("#outline").is_visible()
    page.get_by_label("The outline of the lesion too").check()
    assert page.locator("#outline").is_visible()
    page.evaluate("document.querySelector('.use').hidden = true")  # it would lie over what is scrolled
    page.wait_for_timeout(300)
    on_screen = [
        blocks(Image.open(io.BytesIO(page.locator(".stage").nth(place).screenshot()))) for place in (0, 1)
    ]
    on_paper = [blocks(each) for each in printed(page.pdf(format="A4"), pictures=2)]
    for screen_blocks, paper_blocks in zip(on_screen, on_paper, strict=True):
        assert np.abs(screen_blocks - paper_blocks).max() < 20
    assert violations(page) == []


def test_no_lesion_found_is_said_in_words(screen: Screen) -> None:
    page = screen.page
    open_diagnosis(screen, NOT_FOUND)
    assert (
        "No lesion found: no part of the image looks like a lesion."
        in page.locator(".doubts").first.inner_text()
    )
    paper = page.pdf(format="A4")
    assert not page.locator("section.lesion").count()
    assert not page.locator(".outline").count()
    page.get_by_role("link", name="Worklist").click()
    page.get_by_text("no lesion found").first.wait_for()
    assert "No lesion found: no part of the image looks like a lesion." in words(paper)


def test_without_a_finder_the_page_says_nothing_of_it(screen: Screen) -> None:
    open_diagnosis(screen, None)
    assert not screen.page.locator(".outline, section.lesion, #outlined").count()
    assert "lesion found" not in screen.page.locator("main").inner_text()
