"""A diagnosis on one page: read again by PDFium, whatever the diagnosis says."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from dermafed.client.clinic.answers.melanoma_line import UNRELIABLE, melanoma_line
from dermafed.client.clinic.answers.summary_pdf import LEFT_OUT, LIMITS, Picture, summary_pdf
from dermafed.client.clinic.diagnosis.diagnosis import USE, Diagnosis
from dermafed.client.clinic.intake.clinical import Clinical
from dermafed.client.clinic.intake.quality import Caution
from tests.client.clinic.answers.sample import ALERTED
from tests.client.clinic.lesions import NOT_FOUND
from tests.client.clinic.store.samples import noise

pdfium = pytest.importorskip("pypdfium2")


def read(made: Diagnosis, *shapes: tuple[int, int], lesion: str | None = "L-0042") -> tuple[str, Any]:
    """The words of its only page, on one line, and the page; its pictures lie within it, above the limits."""
    pictures = [Picture(noise(1, *shape), "A picture.") for shape in shapes]
    document = pdfium.PdfDocument(summary_pdf(made, lesion, pictures))
    (page,) = document
    found = list(page.get_objects(filter=[pdfium.raw.FPDF_PAGEOBJ_IMAGE]))
    assert len(found) == len(shapes)
    for each, (height, width) in zip(found, shapes, strict=True):
        left, bottom, right, top = each.get_bounds()
        assert (top - bottom) / (right - left) == pytest.approx(height / width, rel=0.01)
        assert left >= 0
        assert right <= page.get_width()
        assert page.get_textpage().get_text_bounded(left, bottom, right, top) == ""
        assert bottom > 90, "points from the foot of the page, where the limits are"
    return " ".join(page.get_textpage().get_text_bounded().split()), page


def test_it_says_melanoma_first_and_what_the_model_cannot_do() -> None:
    text, _ = read(ALERTED, (300, 400), (300, 400))
    line = melanoma_line(ALERTED)
    for said in (USE, ALERTED.id, "L-0042", ALERTED.model.name, line.headline, line.figures, *LIMITS):
        assert said in text
    assert text.index(line.headline) < text.index("90 %") < text.index(ALERTED.id)
    cautioned, _ = read(
        replace(ALERTED, cautions=(Caution("blur", "It is blurred."),), unsure=True), (300, 400)
    )
    places = [cautioned.index(each) for each in (line.headline, "Undecided", "It is blurred.", "90 %")]
    assert places == sorted(places)
    assert "no number" in read(ALERTED, (10, 10), lesion=None)[0]


def test_an_image_that_the_model_cannot_judge_has_no_percentages() -> None:
    text, _ = read(replace(ALERTED, lesion=NOT_FOUND, outside=True), (300, 400))
    assert f"No lesion found: {NOT_FOUND.reason}." in text
    assert "may be unlike the images" in text
    assert UNRELIABLE in text
    assert LEFT_OUT in text
    assert "%" not in text


def test_the_longest_diagnosis_stays_on_one_page(caplog: pytest.LogCaptureFixture) -> None:
    """Of ten classes and every caution, with a high and a wide picture, and letters of other scripts."""
    classes = {f"a_class_with_a_long_name_{number}": 0.1 for number in range(9)}
    made = replace(
        ALERTED,
        probabilities={"melanoma": 0.1, **classes},
        cautions=tuple(Caution(str(each), f"Caution {each}. " + "It is long. " * 9) for each in range(7)),
        unsure=True,
        clinical=Clinical(90, "female", "rechte Hüfte, levý bok, πλάτη, спина, དཔུང་པ"),
        device="x" * 64,
    )
    text, _ = read(made, (400, 100), (100, 400))
    assert "rechte Hüfte, levý bok, πλάτη, спина" in text
    assert "Caution 6." in text
    assert LIMITS[-1] in text
    assert caplog.text == "", "letters that the font lacks are no one's business"


def test_the_pictures_are_those_that_were_given() -> None:
    shown = np.zeros((80, 120, 3), np.uint8)
    shown[:, :60] = (200, 30, 60)
    document = pdfium.PdfDocument(summary_pdf(ALERTED, None, [Picture(shown, "")]))
    (image,) = document[0].get_objects(filter=[pdfium.raw.FPDF_PAGEOBJ_IMAGE])
    pixels = np.asarray(image.get_bitmap().to_pil().convert("RGB"), float)
    assert pixels.shape == shown.shape
    assert np.abs(pixels - shown).mean() < 4
