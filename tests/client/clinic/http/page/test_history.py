"""A lesion through the months: found, compared side by side, measured, and taken away on a page."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dermafed.client.clinic.diagnosis.diagnosis import Diagnosis
from dermafed.shared.imaging.resize import resize
from tests.client.clinic.http.http_node import CLASSES, SIDE
from tests.client.clinic.http.page.conftest import Screen
from tests.client.clinic.http.page.test_accessible import violations
from tests.client.clinic.http.page.test_print import blocks, printed
from tests.client.clinic.lesions import outlined, photograph
from tests.client.clinic.store.samples import diagnosis, received

pytestmark = pytest.mark.journey

WIDE, HIGH, RADIUS = 1600, 1200, 200  # pixels of the pictures, and of the disc in their middle


def save(screen: Screen, days: int, mm_per_pixel: float | None) -> Diagnosis:
    """A diagnosis of so many days ago."""
    of = received(
        days, image=photograph(HIGH, WIDE, radius=RADIUS), mm_per_pixel=mm_per_pixel, reference=None
    )
    made = diagnosis(
        of, cautions=(), width_mm=of.width_mm, lesion=outlined(of.image, mm_per_pixel=mm_per_pixel),
        probabilities=dict(zip(CLASSES, (0.2 - days / 1000, 0.75, 0.05 + days / 1000), strict=True)),
        time=(datetime.now(UTC) - timedelta(days)).isoformat(timespec="milliseconds"),
    )  # fmt: skip
    return screen.node.store.save(made, of, resize(of.image, SIDE, "crop"))


def boxes(screen: Screen) -> list[dict[str, float]]:
    """Where each picture is on its stage, and how wide, in pixels of the page."""
    return list(
        screen.page.locator(".viewer").evaluate_all(
            """all => all.map((each) => {
                const stage = each.querySelector(".stage").getBoundingClientRect();
                const { left, top, width } = each.querySelector(".picture").getBoundingClientRect();
                return { left: left - stage.left, top: top - stage.top, width, stage: stage.width };
            })"""
        )
    )


def until(page: Any, holds: str) -> None:
    """Waits until something holds of ``all`` photographs; Playwright's own waiting needs unsafe scripts."""
    page.evaluate(
        "new Promise((done, fail) => { setTimeout(fail, 60_000, 'it never held'); const look = () => {"
        " const all = [...document.querySelectorAll('.viewer .photo')];"
        f" return {holds} ? done() : setTimeout(look, 50); }}; look(); }})"
    )


def middle(screen: Screen, place: int) -> tuple[float, float]:
    stage = screen.page.locator(".viewer .stage").nth(place)
    stage.scroll_into_view_if_needed()
    box = stage.bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def pinch(page: Any, x: float, y: float, factor: float) -> None:
    """Two fingers that part to so many times their distance."""
    session = page.context.new_cdp_session(page)

    def send(kind: str, *places: float) -> None:
        points = [{"x": place, "y": y, "id": id} for id, place in enumerate(places)]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    send("touchStart", x - 20, x + 20)
    for step in (0.5, 1):
        apart = 20 * (1 + (factor - 1) * step)
        send("touchMove", x - apart, x + apart)
    send("touchEnd")


def compare_with_pdf(screen: Screen) -> None:
    """The PDF shows what the page does, with the slider and the outline as they are."""
    page, stage = screen.page, screen.page.locator(".viewer .stage")
    page.get_by_label("Heatmap", exact=True).fill("40")
    page.get_by_label("The outline of the lesion too").check()
    page.evaluate("document.querySelector('.use').hidden = true")  # it would lie over what is scrolled
    page.wait_for_timeout(300)  # the heatmap changes gradually
    shown = blocks(Image.open(io.BytesIO(stage.screenshot())))
    with page.expect_download() as download:
        page.get_by_role("link", name="PDF, one page").click()
    plain, composed = map(blocks, printed(download.value.path().read_bytes(), pictures=2))
    assert np.abs(composed - shown).max() < 20
    assert np.abs(plain - shown).max() > 40, "the heatmap is seen"


def test_two_pictures_of_a_lesion_move_together_and_are_measured(screen: Screen) -> None:
    page, phone = screen.page, screen.page.viewport_size["width"] < 400
    first, second = save(screen, 100, 0.02), save(screen, 8, 0.01)
    lesion = screen.node.store.lesions.assign(first.id, "anna")
    screen.node.store.lesions.assign(second.id, "anna", lesion)
    screen.sign_in()
    screen.open("/day")
    page.get_by_label("Id of a diagnosis, or number of a lesion").fill(lesion.lower())
    page.keyboard.press("Enter")
    page.get_by_role("heading", name=f"Lesion {lesion}").wait_for()
    history = page.locator(".history li")
    assert "92 days after the one before" in history.nth(1).inner_text()
    assert ["10 %" in history.nth(0).inner_text(), "19 %" in history.nth(1).inner_text()] == [True, True]
    until(page, "all.every((each) => each.naturalWidth)")
    page.get_by_text("both pictures have the same scale").wait_for()
    left, right = boxes(screen)
    assert left["width"] / 32 == pytest.approx(right["width"] / 16, rel=0.01), "pixels for a millimetre"
    assert violations(page) == []

    stages = page.locator(".viewer .stage")
    stages.nth(0).focus()
    page.keyboard.press("+")
    page.keyboard.press("+")
    zoomed = boxes(screen)
    for before, after in zip((left, right), zoomed, strict=True):
        assert after["width"] == pytest.approx(2.25 * before["width"], rel=0.01)
    page.keyboard.press("ArrowRight")
    moved = boxes(screen)
    assert [after["left"] - before["left"] for before, after in zip(zoomed, moved, strict=True)] == (
        pytest.approx([-60, -60], abs=1)
    )
    x, y = middle(screen, 1)
    if phone:
        pinch(page, x, y, 2)
        wanted = 4.5
    else:
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x + 30, y + 20, steps=3)
        page.mouse.up()
        wanted = 2.25
        assert boxes(screen)[0]["left"] - moved[0]["left"] == pytest.approx(30, abs=1)
    widths = [each["width"] for each in boxes(screen)]
    assert widths == pytest.approx([wanted * left["width"], wanted * right["width"]], rel=0.03)
    until(page, f"all[0].naturalWidth === {WIDE}")  # its own resolution
    page.get_by_label("Move and zoom them together").uncheck()
    page.locator(".viewer").nth(1).get_by_role("button", name="All of it").click()
    assert [each["width"] for each in boxes(screen)] == pytest.approx([widths[0], right["width"]], rel=0.01)

    measure = page.locator(".viewer").nth(1)
    measure.get_by_role("button", name="Measure").click()
    x, y = middle(screen, 1)
    reach = RADIUS / WIDE * boxes(screen)[1]["width"]
    for side in (-1, 1):
        (page.touchscreen.tap if phone else page.mouse.click)(x + side * reach, y)
    text = measure.locator("output").inner_text()
    assert text.startswith("Distance: ")
    assert float(text.split()[1]) == pytest.approx(2 * RADIUS * 0.01, abs=0.15)
    stages.nth(1).focus()
    page.keyboard.press("Enter")
    page.keyboard.press("+")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    shift = 60 / boxes(screen)[1]["width"] * 16  # mm
    assert float(measure.locator("output").inner_text().split()[1]) == pytest.approx(shift, abs=0.06)

    page.get_by_role("button", name="Full screen").click()
    assert page.locator("dialog .viewer").count() == 2
    stage = page.locator("dialog .stage").first.bounding_box()
    assert stage["width"] <= page.viewport_size["width"]
    page.keyboard.press("Escape")
    page.locator("dialog").wait_for(state="detached")
    assert page.evaluate("document.activeElement.id") == "full"


def test_a_picture_is_looked_at_closely_assigned_and_its_opinion_undone(screen: Screen) -> None:
    page, store = screen.page, screen.node.store
    made = save(screen, 3, None)
    known = store.lesions.assign(save(screen, 30, 0.02).id, "anna")
    screen.sign_in()
    screen.open(f"/diagnoses/{made.id}")
    screen.ready("main")
    viewer = page.locator(".viewer")
    assert "No scale" in viewer.locator("output").inner_text()
    assert not viewer.get_by_role("button", name="Measure").is_visible()
    compare_with_pdf(screen)
    viewer.get_by_role("button", name="Full screen").click()
    viewer.get_by_role("button", name="Zoom in").click()
    assert (
        viewer.locator(".heat").evaluate(
            "heat => { const [one, other] = [heat, heat.parentElement.querySelector('.photo')]"
            ".map((each) => each.getBoundingClientRect());"
            " return Math.abs(one.width - other.width) + Math.abs(one.left - other.left); }"
        )
        < 1
    )
    assert violations(page) == []
    page.keyboard.press("a")
    page.locator("dialog").wait_for(state="detached")
    assert page.get_by_label("I agree").is_checked()
    page.get_by_role("button", name="Save").click()
    page.get_by_role("button", name="Undo").wait_for()

    page.get_by_text("Change", exact=True).click()
    page.get_by_label("Number of the lesion").fill("9999")
    page.get_by_role("button", name="Assign").click()
    page.locator("#lesion-problem", has_text="There is no such lesion").wait_for()
    screen.errors.clear()  # the browser notes the status, 404
    page.get_by_label("Number of the lesion").fill(known)
    page.keyboard.press("Enter")
    page.get_by_role("link", name=known).click()
    page.get_by_role("heading", name=f"Lesion {known}").wait_for()
    latest = page.locator(".history li").last
    assert "anna agrees" in latest.inner_text()
    page.get_by_text("sizes cannot be compared").wait_for()
    latest.get_by_role("link").click()
    screen.ready("main")
    page.get_by_role("button", name="Undo").click()
    page.locator("#opinions [data-standing=withdrawn]").wait_for()
    screen.open(f"/lesions/{known}")
    assert "no opinion yet" in latest.inner_text()

    page.get_by_role("link", name="Add an image").click()
    page.locator("#file").set_input_files([screen.image, screen.image])
    assert page.get_by_label("Its number").input_value() == known
    page.get_by_role("button", name="Diagnose 2 images").click()
    page.wait_for_url("**/day")
    assert len(store.lesions.images(known)) == 4
