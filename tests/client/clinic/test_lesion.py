"""A lesion in a diagnosis: where it is in the image that came, its measures, and every way they are saved."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dermafed.client.clinic.diagnosis.diagnose_files import csv_header, csv_row, describe, diagnose_files
from dermafed.client.clinic.diagnosis.diagnoser import Diagnoser, diagnose_image
from dermafed.client.clinic.diagnosis.diagnosis import Diagnosis
from dermafed.client.clinic.diagnosis.lesion import Lesion, describe_lesion
from dermafed.client.clinic.diagnosis.opened_model import OpenedModel, open_model
from dermafed.client.clinic.intake.receive import receive
from dermafed.client.clinic.intake.refusals import Refused
from dermafed.client.clinic.service import DiagnosticService
from dermafed.client.clinic.store.store import Store
from dermafed.client.node.home import Home
from dermafed.client.node.saved_models import MODEL, list_saved_models, save_last_model
from dermafed.shared.errors import ModelError
from dermafed.shared.imaging.preprocess_settings import Fit
from dermafed.shared.lesion_finder.finder_file import save_finder
from dermafed.shared.lesion_finder.outline import LesionOutline
from dermafed.shared.model.classifier import to_flat
from tests.client import planted_clinic as clinics
from tests.client.clinic.answers.sample import PLAIN
from tests.client.clinic.dicom.dicom_objects import as_file, uncompressed
from tests.client.clinic.lesions import FOUND, NOT_FOUND, finding_model, outlined, photograph
from tests.shared.training.tiny import tiny_backbones


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    return float(2 * (one & other).sum() / (one.sum() + other.sum()))


@pytest.mark.parametrize("fit", ["crop", "pad"])
@pytest.mark.parametrize(
    ("height", "width", "at"), [(300, 400, (0.6, 0.45)), (500, 300, (0.45, 0.6)), (256, 256, (0.5, 0.4))]
)
def test_the_outline_lies_on_the_lesion_in_the_image_as_it_came(
    fit: Fit, height: int, width: int, at: tuple[float, float]
) -> None:
    image = photograph(height, width, at)
    lesion = outlined(image, fit)
    assert overlap(lesion.mask(height, width), image[..., 0] < 150) > 0.97
    assert 12 < len(lesion.outline) < 100
    larger = lesion.mask(3 * height, 3 * width)
    assert overlap(larger, np.kron(image[..., 0] < 150, np.ones((3, 3), bool))) > 0.97


@pytest.mark.parametrize("fit", ["crop", "pad"])
def test_millimetres_are_those_of_the_image_as_it_came(fit: Fit) -> None:
    measures = outlined(photograph(radius=60), fit, mm_per_pixel=0.05).measures
    assert measures is not None
    assert measures.diameter_mm == pytest.approx(6, rel=0.04)
    assert measures.area_mm2 == pytest.approx(np.pi * 9, rel=0.04)
    side = 300 if fit == "crop" else 400
    assert measures.diameter == pytest.approx(120 / side, rel=0.04)
    assert measures.area == pytest.approx(np.pi * 3600 / (side * 300), rel=0.04)


def test_what_lies_in_the_mirrored_margin_only_is_no_lesion() -> None:
    region = np.zeros((96, 96), bool)
    region[2:8, 40:50] = True  # of a wide image, the margin has 24 rows
    image = photograph(200, 400)
    assert describe_lesion(LesionOutline(region, None, 1), image, "pad").measures is None
    assert describe_lesion(LesionOutline(region, None, 1), image, "crop").measures is not None


@pytest.mark.parametrize("lesion", [FOUND, NOT_FOUND, outlined(photograph(at=(0.2, 0.5)))])
def test_json_and_back(lesion: Lesion) -> None:
    text = json.dumps(lesion.to_dict(), allow_nan=False)
    assert Lesion.from_dict(json.loads(text)) == lesion
    diagnosis = replace(PLAIN, lesion=lesion)
    assert Diagnosis.from_dict(json.loads(json.dumps(diagnosis.to_dict()))) == diagnosis


def test_without_a_finder_a_diagnosis_is_what_it_was() -> None:
    assert "lesion" not in PLAIN.to_dict()
    assert Diagnosis.from_dict(PLAIN.to_dict()).lesion is None


@pytest.fixture(scope="module")
def model() -> OpenedModel:
    return finding_model()


@pytest.fixture(scope="module")
def diagnoser(model: OpenedModel) -> Diagnoser:
    return Diagnoser(model, engine="tensorflow")


def test_a_saved_model_has_its_finder_and_no_other(model: OpenedModel, home: Home) -> None:
    assert model.finder is not None
    offer = clinics.offer(name="spring", model=model.card.model, preprocess=model.card.preprocess)
    weights = to_flat(model.classifier)
    with tiny_backbones():
        save_last_model(home.models, offer.hash, offer, weights, 3)
        (saved,) = list_saved_models(home.models)
        assert open_model("last", home).finder is None
        save_finder(saved.folder / MODEL, model.finder)
        opened = open_model("last", home)
        assert opened.finder is not None
        np.testing.assert_array_equal(opened.finder.kernel, model.finder.kernel)
        save_finder(saved.folder / MODEL, replace(model.finder, model="f" * 64))
        with pytest.raises(ModelError, match="another model"):
            open_model("last", home)


def received(image: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()


def test_a_model_with_a_finder_outlines_the_lesion(diagnoser: Diagnoser, store: Store) -> None:
    rng = np.random.default_rng(5)
    y, x = np.mgrid[:300, :300]
    disc = np.hypot(x - 170, y - 130) < 70
    image = (rng.uniform(150, 250, (300, 300, 3)) - 120 * disc[..., None]).clip(0, 255).astype(np.uint8)
    came = receive(received(image))
    service = DiagnosticService(diagnoser, store)
    diagnosis = service.diagnose(came, "camera-1", "r-1")
    assert diagnosis.lesion is not None
    assert diagnosis.lesion.reason is None
    assert overlap(service.lesion_mask(diagnosis.id), disc) > 0.75
    assert service.diagnose(came, "camera-1", "r-1") == diagnosis == store.load(diagnosis.id)
    again, _ = diagnose_image(diagnoser, None, came, "file")
    assert again.lesion == diagnosis.lesion
    assert again.probabilities == diagnosis.probabilities
    assert service.dicom_kinds(diagnosis.id) == ("sc", "sr"), "it did not come as DICOM"
    with pytest.raises(Refused, match="no DICOM object") as caught:
        service.dicom_answer(diagnosis.id, "seg")
    assert caught.value.status == 404
    sent = receive(as_file(uncompressed(image, PixelSpacing=[0.02, 0.02])))
    dicom = service.diagnose(sent, "camera-1")
    assert service.dicom_kinds(dicom.id) == ("sc", "sr", "seg")
    drawn = service.dicom_answer(dicom.id, "seg").pixel_array > 0
    assert overlap(drawn, service.lesion_mask(dicom.id)) == 1
    assert dicom.lesion is not None
    assert dicom.lesion.measures is not None
    assert dicom.lesion.measures.diameter_mm == pytest.approx(2.8, rel=0.25)
    assert dicom.lesion.outline == diagnosis.lesion.outline
    given = receive(as_file(uncompressed(image, PixelSpacing=[0.02, 0.02])), mm_per_pixel=0.04)
    assert given.mm_per_pixel == 0.04, "what the device gives counts"
    assert receive(received(image), mm_per_pixel=0.04).mm_per_pixel == 0.04


def test_in_noise_it_finds_no_lesion_and_says_why(diagnoser: Diagnoser, store: Store) -> None:
    noise = np.random.default_rng(6).uniform(150, 250, (300, 300, 3)).astype(np.uint8)
    service = DiagnosticService(diagnoser, store)
    diagnosis = service.diagnose(receive(received(noise)), "camera-1")
    assert diagnosis.lesion is not None
    assert diagnosis.lesion.measures is None
    assert diagnosis.to_dict()["lesion"] == {"found": False, "reason": diagnosis.lesion.reason}
    assert service.dicom_kinds(diagnosis.id) == ("sc", "sr")


def test_diagnosing_files_gives_the_same_lesion(diagnoser: Diagnoser, store: Store, tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    y, x = np.mgrid[:200, :200]
    skin = rng.uniform(150, 250, (200, 200, 3))
    with_disc = (skin - 120 * (np.hypot(x - 100, y - 90) < 50)[..., None]).clip(0, 255).astype(np.uint8)
    files = [tmp_path / "lesion.png", tmp_path / "skin.png"]
    for file, image in zip(files, (with_disc, skin.astype(np.uint8)), strict=True):
        file.write_bytes(received(image))
    lesion, none = diagnose_files(files, diagnoser)
    served = DiagnosticService(diagnoser, store).diagnose(receive(files[0].read_bytes()), "camera-1")
    assert served.lesion is not None
    assert lesion["lesion"] == served.lesion.to_dict()
    assert lesion["lesion"]["found"]
    assert "no lesion found" not in describe(lesion)
    assert not none["lesion"]["found"]
    assert "; no lesion found" in describe(none)
    assert len(csv_row(none, diagnoser.classes)) == len(csv_header(diagnoser.classes))
