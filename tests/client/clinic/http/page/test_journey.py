"""A clinician's way through the real page, in headless Chromium, on a desk and on a telephone."""

from __future__ import annotations

from base64 import b64encode
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from tests.client.clinic.http.http_node import CLASSES, Node
from tests.client.clinic.http.page.conftest import Screen
from tests.client.clinic.http.page.test_accessible import violations
from tests.client.clinic.http.test_similar import fill

pytestmark = pytest.mark.journey


def opacity(screen: Screen) -> float:
    return float(screen.page.locator("[data-map=main]").evaluate("each => each.style.opacity"))


def test_from_the_image_to_the_days_list(screen: Screen) -> None:
    page, store = screen.page, screen.node.store
    screen.sign_in()
    screen.diagnose()
    diagnosis = store.list_day(date.today())[0]
    assert page.url.endswith(f"/diagnoses/{diagnosis.id}")

    rows = page.locator(".bars tbody tr")
    shown = [rows.nth(place).inner_text().split("\n") for place in range(rows.count())]
    ranked = sorted(diagnosis.probabilities.items(), key=lambda each: -each[1])
    assert [row[0].strip() for row in shown] == [name.replace("_", " ") for name, _ in ranked]
    assert f"{100 * ranked[0][1]:.0f} %" in rows.first.inner_text()
    assert "Research use only; not a medical device." in page.locator(".use").inner_text()
    assert page.get_by_text("does not outline the lesion").is_visible()

    label = next(name for name in CLASSES if name != diagnosis.prediction)
    page.get_by_label("I disagree").check()
    page.get_by_label("It is").select_option(label)
    page.get_by_label("Confirmed by").select_option("histopathology")
    page.get_by_label("Reason").fill("the network at its edge")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("the network at its edge").wait_for()
    (opinion,) = store.list_opinions(diagnosis.id)
    assert (opinion.who, opinion.agrees, opinion.label) == ("anna", False, label)
    assert (opinion.confirmed_by, opinion.reason) == ("histopathology", "the network at its edge")
    assert screen.announcement() == "Your opinion is saved."

    page.get_by_role("link", name="Worklist").click()
    page.locator(f"a[href='/diagnoses/{diagnosis.id}']").click()
    page.get_by_text("anna disagrees").wait_for()
    assert [each.who for each in store.list_views(diagnosis.id)] == ["anna", "anna"]


def test_the_first_announcement_is_not_said_over_what_the_reader_did(screen: Screen) -> None:
    page = screen.page
    screen.sign_in()
    screen.diagnose()
    page.clock.install(time=0)
    page.clock.pause_at(3_600_000)
    page.reload()
    screen.ready("main")
    page.keyboard.press("h")
    page.clock.run_for(1_000)
    assert screen.announcement() == "The heatmap is hidden."


def test_the_heatmap_is_slid_hidden_and_compared(screen: Screen) -> None:
    page = screen.page
    screen.sign_in()
    screen.diagnose()
    assert opacity(screen) == 0.6
    slider = page.get_by_role("slider", name="Heatmap")
    slider.focus()
    page.keyboard.press("ArrowRight")
    assert opacity(screen) == pytest.approx(0.65)
    page.keyboard.press("h")
    assert opacity(screen) == 0
    assert screen.announcement() == "The heatmap is hidden."
    page.keyboard.press("H")
    assert opacity(screen) == pytest.approx(0.65)
    page.get_by_label("Reason").press("h")
    assert opacity(screen) == pytest.approx(0.65), "who writes hides nothing"
    page.get_by_role("button", name="Hide").click()
    assert opacity(screen) == 0
    page.get_by_role("button", name="Show").click()
    page.get_by_label("Keys: H hides").uncheck()
    page.keyboard.press("h")
    assert opacity(screen) > 0, "the key can be turned off"

    page.get_by_text("Compare two classes").click()
    screen.ready("side-0")
    screen.ready("side-1")
    maps = [page.locator(f"[data-map=side-{side}]").get_attribute("src") for side in (0, 1)]
    assert maps[0] != maps[1]
    last = page.get_by_label("Right map").locator("option").last.get_attribute("value")
    page.get_by_label("Right map").select_option(last)
    screen.ready("side-1")
    assert page.locator("[data-map=side-1]").get_attribute("src").endswith(f"class={last}")


def test_controls_that_would_change_nothing_are_hidden(screen: Screen, uncertain: Node) -> None:
    page = screen.page
    screen.sign_in()
    screen.diagnose()
    assert page.get_by_label("Class", exact=True).is_visible()
    assert page.get_by_text("Compare two classes").is_visible()
    assert not page.get_by_text("does not depend on the class").is_visible()

    screen.node.tokens.revoke("anna")
    screen.node = uncertain
    screen.sign_in()
    screen.diagnose()
    page.get_by_text("This map does not depend on the class").wait_for()
    for label in ("Class", "Rather than"):
        assert not page.get_by_label(label, exact=True).is_visible()
    assert not page.get_by_text("Compare two classes").is_visible()


def test_an_image_chosen_before_the_script_has_come(screen: Screen) -> None:
    page = screen.page
    waiting: list[Any] = []
    page.route("**/upload.js", lambda route: waiting.append(route))  # a method of C takes no mark
    screen.sign_in()
    page.locator("#file").set_input_files(screen.image)
    waiting[0].continue_()
    page.get_by_role("button", name="Diagnose").click()
    page.get_by_role("heading", name="Diagnosis by the model").wait_for()


def test_by_keyboard_alone(screen: Screen) -> None:
    page = screen.page
    page.on("filechooser", lambda chooser: chooser.set_files(screen.image))
    screen.sign_in()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    while page.evaluate("document.activeElement.id") != "file":
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.tagName") != "BODY"
    page.keyboard.press("Space")
    page.locator("#send:enabled").wait_for()
    page.get_by_role("button", name="Diagnose").focus()
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Diagnosis by the model").wait_for()
    stops = tab_stops(page)
    for id in ("opacity", "hide", "keys", "target", "against", "confirmed", "reason"):
        assert id in stops


def tab_stops(page: Any) -> list[str]:
    """The ids that the Tab key comes by, once around."""
    found: list[str] = []
    for _ in range(60):
        page.keyboard.press("Tab")
        found.append(page.evaluate("document.activeElement.id || document.activeElement.tagName"))
        if found[-1] == "BODY":
            break
    return found


def test_a_refusal_is_shown_on_the_form(screen: Screen) -> None:
    page = screen.page
    screen.sign_in()
    page.locator("#file").set_input_files({"name": "x.jpg", "mimeType": "image/jpeg", "buffer": b"no image"})
    page.get_by_role("button", name="Diagnose").click()
    page.get_by_role("alert").wait_for()
    assert len(page.get_by_role("alert").inner_text()) > 20
    assert page.get_by_role("button", name="Diagnose").is_enabled()
    screen.errors = [each for each in screen.errors if "415" not in each]  # the browser notes the status
    page.get_by_role("button", name="Remove x.jpg").click()
    screen.diagnose()


def test_several_images_are_dropped_and_pasted_and_form_a_worklist(screen: Screen) -> None:
    page, store = screen.page, screen.node.store
    before = {each.id for each in store.list_day(date.today())}
    screen.sign_in()
    page.wait_for_load_state()  # with its scripts
    page.evaluate(
        """base64 => {
            const bytes = Uint8Array.from(atob(base64), (each) => each.charCodeAt(0));
            const filled = (...names) => {
                const data = new DataTransfer();
                for (const name of names) data.items.add(new File([bytes], name, { type: "image/jpeg" }));
                return data;
            };
            const dataTransfer = filled("arm.jpg", "back.jpg"), clipboardData = filled("pasted.jpg");
            const top = document.querySelector(".top"), bubbles = true;
            top.dispatchEvent(new DragEvent("drop", { dataTransfer, bubbles }));
            document.body.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles }));
        }""",
        b64encode(screen.image.read_bytes()).decode(),
    )
    assert page.locator("#queue b").all_inner_texts() == ["arm.jpg", "back.jpg", "pasted.jpg"]
    assert page.locator("#one-person").is_visible()
    page.get_by_role("button", name="Remove back.jpg").click()
    page.get_by_role("button", name="Diagnose 2 images").click()
    page.wait_for_url("**/day")
    made = {each.id for each in store.list_day(date.today())} - before
    named = {id: page.locator(f"tr[data-id='{id}'] .file-name").inner_text() for id in made}
    assert sorted(named.values()) == ["arm.jpg", "pasted.jpg"]
    first = page.locator(".thumbnail").first
    first.scroll_into_view_if_needed()  # those that nobody has scrolled to are not loaded
    first.evaluate("each => each.decode()")

    ids = page.locator("#worklist tbody tr").evaluate_all("rows => rows.map((row) => row.dataset.id)")
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/diagnoses/{ids[0]}")
    screen.ready("main")
    page.keyboard.press("j")
    page.wait_for_url(f"**/diagnoses/{ids[1]}")
    screen.ready("main")
    earlier = [each.standing for each in store.list_opinions(ids[1])]  # of other tests
    page.keyboard.press("d")
    page.keyboard.press("Tab")
    page.get_by_role("button", name="Save").click()
    page.get_by_role("button", name="Undo").click()
    page.locator("#opinions [data-standing=withdrawn]").nth(earlier.count("withdrawn")).wait_for()
    page.locator("#news", has_text="Your opinion is withdrawn.").wait_for(state="attached")
    standing = [each.standing for each in store.list_opinions(ids[1])]
    assert (len(standing), standing[-1]) == (len(earlier) + 1, "withdrawn")
    page.get_by_role("button", name="Sign out").click()
    page.get_by_label("Token").wait_for()
    assert page.evaluate("sessionStorage.length") == 0, "the names of files are gone"


def test_the_own_impression_comes_first_by_one_key(screen: Screen, impression_first: Node) -> None:
    page, screen.node = screen.page, impression_first
    screen.sign_in()
    page.locator("#file").set_input_files(screen.image)
    page.get_by_role("button", name="Diagnose").click()
    page.get_by_role("heading", name="Your impression first").wait_for()
    assert violations(page) == []
    assert "%" not in page.locator("main").inner_text()
    page.locator(".stage[role=application]").wait_for()  # the script's last step: it hears keys by then
    page.keyboard.press("2")
    page.get_by_role("heading", name="Diagnosis by the model").wait_for()
    assert (
        "Your impression before you saw the model's answer: nevus." in page.locator(".opinion").inner_text()
    )


def test_nothing_is_wider_than_the_screen(screen: Screen) -> None:
    page = screen.page
    screen.open("/sign-in")
    pages = [page.url]
    screen.sign_in()
    screen.diagnose()
    page.get_by_text("Compare two classes").click()
    pages = [page.url, *(f"{screen.node.url}{path}" for path in ("/", "/day", "/model"))]
    for each in pages:
        page.goto(each)
        width = page.viewport_size["width"]
        assert page.evaluate("document.documentElement.scrollWidth") <= width, each
        for button in page.locator("button:visible, .button:visible, select:visible").all():
            assert button.bounding_box()["height"] >= 24, each  # WCAG 2.2, target size


def test_similar_cases_of_this_clinic_are_asked_for_and_come_with_their_diagnoses(
    screen: Screen, tmp_path: Path
) -> None:
    page, cases = screen.page, fill(screen.node, tmp_path)
    screen.sign_in()
    screen.diagnose()
    assert not page.locator("#cases").is_visible()  # the probabilities come first
    page.get_by_text("Similar cases of this clinic").click()
    shown = page.locator("#cases li")
    shown.nth(4).wait_for()
    named = {f"{case.diagnosis.replace('_', ' ')}, confirmed by follow-up. {case.id}" for case in cases}
    assert set(shown.all_inner_texts()) <= named
    # Rejects if an image cannot be shown.
    page.locator("#cases img").evaluate_all("all => Promise.all(all.map((each) => each.decode()))")
    assert page.locator("#similar-note", has_text="Not a vote, no diagnosis.").is_visible()
    assert "Not a vote" in screen.announcement()
