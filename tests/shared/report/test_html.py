from __future__ import annotations

import base64
import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from dermafed.server.rounds.run_audit import ClinicsAudit
from dermafed.server.rounds.run_explanations import ClinicsExplanations
from dermafed.shared.errors import DermaFedError
from dermafed.shared.explain.quality.quality_sums import ExplanationQuality
from dermafed.shared.metrics.segmentation import ImageOverlap, segmentation_report
from dermafed.shared.report.html import write_report
from tests.shared.metrics.shortcuts.sample_audit import sample_sums
from tests.shared.report import run

FIFTHS = [0.2, 0.4, 0.6, 0.8, 1.0]
VOID = {"meta", "img", "br", "hr", "input", "link"}


class Page(HTMLParser):
    """Elements, text by section, and whether every tag was closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.html = html
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.texts: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def sections(self) -> list[str | None]:
        return [attributes["id"] for attributes in self.all("section")]


def federated_predictions() -> dict[str, Any]:
    return {"federated": run.predictions((60, 144, 76), run.SKILL["federated"], 7)}


def render(path: Path, result: dict[str, Any], **given: Any) -> Page:
    content: dict[str, Any] = {"history": [], "predictions": {}, "stages": [], "sheet": None}
    write_report(path / "report.html", result, **(content | given))
    return Page((path / "report.html").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def result() -> dict[str, Any]:
    return run.result()


@pytest.fixture(scope="module")
def page(result: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Page:
    return render(
        tmp_path_factory.mktemp("report"),
        result,
        history=run.history(),
        predictions=federated_predictions(),
        stages=run.stages(2),
        sheet=run.sheet(),
    )


def test_loads_nothing(page: Page) -> None:
    policy = next(m["content"] for m in page.all("meta") if m.get("http-equiv") == "Content-Security-Policy")
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    assert not {"script", "link", "iframe", "object", "base", "form"} & {tag for tag, _ in page.elements}
    for tag, attributes in page.elements:
        for name in ("src", "href", "xlink:href"):
            assert (attributes.get(name) or "#").startswith(("#", "data:image/png;base64,")), tag
    assert not re.search(r"https?:|@import|url\((?!#)", page.html)


def test_is_whole_and_accessible(page: Page) -> None:
    assert page.open == []
    assert page.all("html")[0]["lang"] == "en"
    assert all(image["alt"] for image in page.all("img"))
    assert len(page.all("caption")) == len(page.all("table")) == 6
    assert all(f.get("aria-label") for f in page.all("figure") if f.get("role") == "img")
    headings = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert headings[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(headings))
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)|url\(#([^)]+)', page.html)) <= {(i, "") for i in ids} | {
        ("", i) for i in ids
    }


def test_shows_the_headline_the_command_and_the_notes(page: Page, result: dict[str, Any]) -> None:
    assert (
        f"The federation of three clinics reaches {result['federated']['balanced_accuracy']:.2f}" in page.text
    )
    for text in (
        "Research use only; not a medical device",
        result["command"],
        "DermaFed 0.1.0",
        "5 min 45 s",
    ):
        assert text in page.text
    assert result["notes"][0] in page.text
    assert "run/model.keras" in page.text


def test_sections(page: Page) -> None:
    assert page.sections == ["clinics", "comparison", "curves", "model", "preprocessing", "run", "notes"]
    assert len(page.all("svg")) == 4
    assert len(page.all("img")) == 1 + 2 * 4


def test_metrics_are_those_of_the_result(page: Page, result: dict[str, Any]) -> None:
    for arm in ("local", "federated", "pooled"):
        rows = [result[arm], result[arm]["mean_over_clinics"], *result[arm]["clinics"].values()]
        for row in rows:
            for name in ("balanced_accuracy", "accuracy", "auc"):
                assert f"{row[name]:.3f}" in page.text
    test = result["federated"]["test"]
    cells = [int(share) for share in re.findall(r"--share:(\d+)%", page.html)]
    assert cells == [round(100 * n / sum(row)) for row in test["confusion"] for n in row]
    for metrics in test["per_class"].values():
        assert f"{metrics['support']} {metrics['recall']:.3f}" in page.text
    interval = test["intervals"]["balanced_accuracy"]
    assert f"{test['balanced_accuracy']:.3f} {interval['low']:.3f}–{interval['high']:.3f}" in page.text
    assert "melanoma 110 · nevus 420 · seborrheic keratosis 130" in page.text


def test_without_baselines_and_extras(tmp_path: Path, result: dict[str, Any]) -> None:
    page = render(tmp_path, result | {"local": None, "pooled": None, "notes": []})
    assert page.sections == ["clinics", "comparison", "model", "run", "notes"]
    assert page.all("svg") == page.all("img") == []
    assert "Alone" not in page.text
    assert "Pooled" not in page.text
    assert "own models" not in page.text


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    name = '<script>alert(1)</script> & "$x_1$"'
    result = run.result({name: (40, 60, 50), "b": (50, 40, 60)})
    changes = {"title": name, "command": name, "notes": [name], "settings": {name: name}, "model": name}
    page = render(
        tmp_path, result | changes, history=run.history(3, (name, "b")), stages=[(name, run.stages(1)[0][1])]
    )
    assert page.all("script") == []
    assert page.text.count("<script>alert(1)</script>") >= 8
    assert page.all("img")[0]["alt"] == f"{name} after the step photograph"


def test_undefined_metrics_are_dashes(tmp_path: Path, result: dict[str, Any]) -> None:
    labels, probabilities = run.predictions((10, 10, 0), 2.0, 3)
    test = run.classification_report(labels, probabilities, run.CLASSES, bootstrap=50).to_dict()
    federated = result["federated"] | {"test": test}
    rows = [row | {"validation_auc": None} for row in run.history(2)]
    page = render(
        tmp_path,
        result | {"federated": federated},
        history=rows,
        predictions={"federated": (labels, probabilities)},
    )
    assert "seborrheic keratosis 0 – – – –" in page.text
    assert "The test has no image of seborrheic keratosis" in page.text
    assert "left:50.0%" in page.html  # guessing between the two classes present
    assert "Curve of the validation AUC" not in page.html


def test_many_clinics_and_classes(tmp_path: Path, result: dict[str, Any]) -> None:
    classes = [f"class_{index}" for index in range(10)]
    labels = np.repeat(np.arange(10), 4)
    probabilities = np.full((40, 10), 0.05)
    probabilities[np.arange(40), labels] = 0.55
    test = run.classification_report(labels, probabilities, classes, bootstrap=20).to_dict()
    clinics = [
        {
            "name": f"clinic {index}",
            "images": {classes[index % 10]: 3},
            "splits": {"train": 1, "validation": 1, "test": 1},
        }
        for index in range(100)
    ]
    arm = {"test": test, "clinics": {}} | run.means([test]) | {"mean_over_clinics": run.means([test])}
    changes = {"classes": classes, "clinics": clinics, "federated": arm, "local": None, "pooled": None}
    page = render(tmp_path, result | changes, predictions={"federated": (labels, probabilities)})
    assert "The federation of 100 clinics reaches 1.00" in page.text
    assert "clinic 99" in page.text
    assert "--class-8" not in page.html  # colours start again


def test_photographs_are_the_images_given(tmp_path: Path, result: dict[str, Any]) -> None:
    image = np.zeros((6, 8, 3), dtype=np.uint8)
    image[..., 0] = 200  # red
    large = np.zeros((500, 1000, 3), dtype=np.uint8)
    page = render(tmp_path, result, stages=[("one", {"small": image, "large": large})])
    small, reduced = (
        cv2.imdecode(
            np.frombuffer(base64.b64decode((i["src"] or "").split(",")[1]), np.uint8), cv2.IMREAD_COLOR
        )
        for i in page.all("img")
    )
    np.testing.assert_array_equal(small[..., ::-1], image)
    assert reduced.shape == (240, 480, 3)


def test_same_run_same_file(tmp_path: Path, result: dict[str, Any]) -> None:
    given: dict[str, Any] = {"history": run.history(2), "predictions": federated_predictions()}
    assert render(tmp_path, result, **given).html == render(tmp_path, result, **given).html


def test_unwritable_folder(tmp_path: Path, result: dict[str, Any]) -> None:
    with pytest.raises(DermaFedError, match="Choose a folder"):
        render(tmp_path / "absent", result)


def finder_test(dice: float) -> dict[str, Any]:
    overlaps = [ImageOverlap(dice, dice / (2 - dice), 0.97, 0.1), ImageOverlap(1.0, 1.0, 0.99, 0.2)]
    return {**segmentation_report(overlaps, ["a", "b"]), "nothing_found": 0, "several_found": 1}


def test_the_lesion_finder_is_shown_by_clinic(tmp_path: Path, result: dict[str, Any]) -> None:
    test = {"all": finder_test(0.9), "clinics": {"Vienna": finder_test(0.8)}}
    found = {"clinics": {"Vienna": 40}, "left_out": {"Rosendahl": "no masks"}, "test": test}
    page = render(tmp_path, {**result, "lesion_finder": found})
    assert "lesion-finder" in page.sections
    assert "fitted to 40 training images with lesion masks at 1 of 3 clinics" in page.text
    assert "Dice overlap of outline and mask: 1 is perfect 0.900 0.800–1.000 0.950 0.900–1.000" in page.text
    assert "Without sums: Rosendahl." in page.text


def test_a_run_without_masks_says_so(tmp_path: Path, result: dict[str, Any]) -> None:
    found = {"clinics": {}, "left_out": {}, "test": None}
    assert "there is no lesion finder" in render(tmp_path, {**result, "lesion_finder": found}).text
    assert "lesion-finder" not in render(tmp_path, result).sections


def test_the_clinics_steps_are_those_of_the_last_training(tmp_path: Path, result: dict[str, Any]) -> None:
    step = {
        "clinic": "Vienna",
        "share": 0.25,
        "norm": 1.5,
        "times_median": 1.25,
        "cosine": 0.5,
        "train_loss": 0.75,
    }
    refit = step | dict.fromkeys(("norm", "times_median", "cosine", "train_loss"))
    row = run.history()[0] | {"arm": "federated"}
    history = [row | {"round": 1, "clinics": [step]}, row | {"round": 2, "clinics": [refit]}]
    text = render(tmp_path, result, history=history).text
    assert "Vienna 0.250 1.500 1.250 1.250 0.500 0.750" in text


def test_an_audit_is_shown_by_clinic(tmp_path: Path, result: dict[str, Any]) -> None:
    audit = ClinicsAudit(2, {"Vienna": sample_sums()}, {"Rosendahl": "too few"}).to_dict()
    page = render(tmp_path, {**result, "audit": audit})
    assert "shortcuts" in page.sections
    assert "60 test lesions of 1 clinics. Without an answer: Rosendahl." in page.text
    flips = audit["clinics"]["Vienna"]["effects"]["ink"]["to_melanoma"]
    assert f"Ink marks {flips['flipped']} of {flips['lesions']}:" in page.text
    assert "shortcuts" not in render(tmp_path, result).sections


def test_explanations_are_shown_by_clinic(tmp_path: Path, result: dict[str, Any]) -> None:
    clinics = {
        "Vienna": ExplanationQuality.from_scores(
            [
                {"deletion": value, "pointing": 0.25, "pixel_precision": 0.75, "pixel_precision_blob": 0.8125}
                for value in FIFTHS
            ]
        ),
        "Queensland": ExplanationQuality.from_scores([{"deletion": 0.1}] * 5),
    }
    answers = ClinicsExplanations(20, clinics, {"Rosendahl": "DatasetError"}).to_dict()
    page = render(tmp_path, {**result, "explanations": answers})
    assert page.open == []
    assert "explanations" in page.sections
    # Of Vienna, Queensland and both together.
    # Where the lesion is comes first, beside what a blob has.
    assert re.search(
        r"images explained 5 5 10 pixel precision [^.]*0\.750 .* precision blob [^.]*0\.81[23] .* deletion ",
        page.text,
    )
    assert "off centre precision" not in page.text
    assert re.search(r" deletion [^0-9]*0\.600 [^a-z]*0\.100 [^a-z]*0\.350", page.text)
    assert re.search(r"pointing [^0-9]*0\.250 \S+ – 0\.250", page.text)
    assert "Without an answer: Rosendahl" in page.text
