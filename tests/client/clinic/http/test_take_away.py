"""What is taken away over HTTP: the picture of the page on paper, the day as CSV, and neither too early."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import date
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from dermafed.client.clinic.diagnosis.diagnoser import Diagnoser
from dermafed.client.clinic.http.composed import draw_outline, lay_over
from dermafed.client.clinic.intake.clinical import Clinical
from dermafed.client.clinic.store.opinions import Opinion
from tests.client.clinic.http.http_node import CLASSES, SIDE, Node, running
from tests.client.clinic.lesions import FOUND
from tests.client.clinic.store.samples import diagnosis, received, save_one
from tests.shared.explain.small_networks import small_image


@pytest.fixture(scope="module")
def node(diagnoser: Diagnoser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    folder = tmp_path_factory.mktemp("take-away") / "graz"
    with running(diagnoser, folder, impression_first=True) as started:
        yield started


def save_found(node: Node) -> str:
    """A diagnosis whose lesion was found."""
    of = received(1, image=small_image(3, 300))
    made = diagnosis(of, probabilities=dict(zip(CLASSES, (0.2, 0.7, 0.1), strict=True)), lesion=FOUND)
    return node.store.save(made, of, np.asarray(cv2.resize(of.image, (SIDE, SIDE)), np.uint8)).id


def pictures(pdf: bytes) -> list[np.ndarray]:
    pdfium: Any = pytest.importorskip("pypdfium2")
    (page,) = pdfium.PdfDocument(pdf)
    found = page.get_objects(filter=[pdfium.raw.FPDF_PAGEOBJ_IMAGE])
    return [np.asarray(each.get_bitmap().to_pil().convert("RGB"), float) for each in found]


def blocks(picture: np.ndarray) -> np.ndarray:
    """The picture in blocks of some ten pixels, without the noise of JPEG."""
    return cv2.resize(picture.astype(np.float32), (30, 30), interpolation=cv2.INTER_AREA)


def test_the_summary_has_the_layers_that_the_page_shows(node: Node) -> None:
    anna, id = node.clinician("of-summaries"), save_found(node)
    address = f"/diagnoses/{id}/summary.pdf"
    early = anna.get(address)
    assert (early.status_code, early.headers["location"]) == (303, f"/diagnoses/{id}")
    node.store.add_impression(id, "of-summaries", "nevus")

    def layer(name: str, **asked: str) -> np.ndarray:
        answer = anna.get(f"/v1/diagnoses/{id}/{name}", params=asked)
        return np.asarray(Image.open(io.BytesIO(answer.content)))

    answer = anna.get(address, params={"class": "melanoma", "opacity": 40, "outline": "true"})
    assert answer.headers["content-type"] == "application/pdf"
    assert answer.headers["content-disposition"] == f'attachment; filename="diagnosis-{id[:8]}.pdf"'
    shown, heat = layer("image.jpg"), layer("heat.png", **{"class": "melanoma"})
    plain, composed = pictures(answer.content)
    expected = draw_outline(lay_over(shown, heat, 0.4), FOUND)
    assert np.abs(blocks(plain) - blocks(shown)).max() < 3
    assert np.abs(blocks(composed) - blocks(expected)).max() < 3
    assert np.abs(blocks(composed) - blocks(shown)).max() > 30, "the layers are seen"
    assert len(pictures(anna.get(address, params={"opacity": 0}).content)) == 1
    assert anna.get(address, params={"class": "none"}).status_code == 400
    assert anna.get(address, params={"opacity": 101}).status_code == 400
    assert node.device("camera-of-summaries").get(address).status_code == 403
    page = anna.get(f"/diagnoses/{id}").text
    for link in ("summary.pdf", "fhir", "dicom?kind=sr", "dicom?kind=sc"):
        assert f'{id}/{link}"' in page


def test_a_layer_is_laid_over_as_a_browser_does_it() -> None:
    image = np.full((2, 4, 3), 100, np.uint8)
    layer = np.zeros((1, 2, 4), np.uint8)
    layer[0, 0] = (200, 0, 50, 255)
    found = lay_over(image, layer, 0.5)
    assert found[0, 0].tolist() == [150, 50, 75], "opaque: half of each"
    # A quarter of the way to a transparent pixel: alpha 0.75; its black must not darken the picture.
    assert found[0, 1].tolist() == [138, 62, 81]
    assert found[0, 3].tolist() == [100, 100, 100]


def test_the_day_as_csv_has_what_the_worklist_shows(node: Node) -> None:
    anna, store = node.clinician("of-days"), node.store
    seen = save_one(store, 11, clinical=Clinical(54, "female", "back"))
    hidden = save_one(store, 12)
    lesion = store.lesions.assign(seen.id, "of-days")
    store.add_opinion(seen.id, Opinion("of-days", False, "melanoma", 'a "net",\nand more', "histopathology"))
    risky = save_one(store, 13, device="=cmd()")
    store.add_impression(risky.id, "of-days", None)
    answer = anna.get(f"/day/{date.today()}/worklist.csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    text = answer.content.decode("utf-8-sig")
    rows = {row["id"]: row for row in csv.DictReader(io.StringIO(text, newline=""))}
    row = rows[seen.id]
    assert (row["lesion"], row["age"], row["site"]) == (lesion, "54", "back")
    assert (float(row["probability_melanoma"]), row["answer"]) == (0.25, "nevus")
    assert row["opinions"] == 'of-days says melanoma, confirmed by histopathology: a "net",\nand more'
    assert row["intended_use"].startswith("Research use only")
    assert rows[hidden.id]["answer"] == "your impression first"
    assert {rows[hidden.id][name] for name in row if name.startswith(("prob", "alert", "opin"))} == {""}
    assert rows[risky.id]["sender"] == "'=cmd()"
    assert node.device("camera-of-days").get(f"/day/{date.today()}/worklist.csv").status_code == 403
    assert f"/day/{date.today()}/worklist.csv" in anna.get("/day").text
