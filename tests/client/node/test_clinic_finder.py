"""A clinic's part in a lesion finder: which of its images it sums up, and where it saves the finder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest
from flwr.app import Context, RecordDict
from numpy.typing import NDArray

from dermafed.client.clinic.diagnosis.opened_model import open_model
from dermafed.client.node.clinic_finder import ClinicFinder, node_finder
from dermafed.client.node.consent import ClinicConsent
from dermafed.client.node.home import Home
from dermafed.client.node.replying import NotApproved
from dermafed.client.node.saved_models import find_saved_model, save_last_model
from dermafed.shared.errors import FederationError
from dermafed.shared.lesion_finder.finder import LesionFinder
from dermafed.shared.lesion_finder.finder_file import finder_file, load_finder
from dermafed.shared.lesion_finder.finder_sums import FinderSums, TooFewMasks
from dermafed.shared.lesions.clinic_split import read_clinic_split
from dermafed.shared.model.classifier import build_classifier, to_flat
from dermafed.shared.model.model_settings import ModelSettings
from dermafed.shared.model.weights_digest import weights_digest
from dermafed.shared.protocol.agreement import encode_counts
from tests.client.planted_clinic import CLASSES, clinic, data_set, offer
from tests.shared.training.tiny import tiny_backbones

pytestmark = pytest.mark.journey

CONTEXT = Context(1, 1000, {}, RecordDict(), {})
SIDE = 40  # of the images, which become 32 x 32
MODEL = ModelSettings(CLASSES, backbone="EfficientNetB5", image_size=32)


@pytest.fixture(scope="module", autouse=True)
def _tiny() -> Iterator[None]:
    with tiny_backbones():
        yield


@pytest.fixture(scope="module")
def weights() -> NDArray[np.float32]:
    keras.utils.set_random_seed(3)
    return to_flat(build_classifier(MODEL))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("DERMAFED_CACHE", str(tmp_path / "cache"))
    return clinic(tmp_path / "graz", data_set(tmp_path / "data", images=44), policy='"limits"')


def write_masks(home: Home) -> None:
    """A lesion in the left half of every image."""
    folder = home.folder.parent / "data"
    (folder / "masks").mkdir()
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[:, : SIDE // 2] = 255
    for path in folder.glob("*.png"):
        cv2.imwrite(str(folder / "masks" / path.name), mask)


def finder(home: Home, **changes: object) -> ClinicFinder:
    consent = ClinicConsent(home)
    consent.answer(offer(**{"lesion_finder": True, "model": MODEL, **changes}).to_text(), CONTEXT)
    consent.prepare(encode_counts([9, 9]), CONTEXT)
    return node_finder(home, consent.approved_finder(CONTEXT))


def test_the_sums_are_of_the_training_images_with_usable_masks(
    home: Home, weights: NDArray[np.float32], caplog: pytest.LogCaptureFixture
) -> None:
    write_masks(home)
    own = finder(home)
    train = read_clinic_split(own.folder).splits.train
    masks = [record.mask for record in train if record.mask is not None]
    assert len(masks) == len(train) >= 24
    cv2.imwrite(str(masks[0]), np.zeros((SIDE, SIDE), np.uint8))  # no lesion
    cv2.imwrite(str(masks[1]), np.full((SIDE, 2 * SIDE), 255, np.uint8))  # other proportions
    sums = own.sums(weights)
    assert sums.images == len(train) - 2
    # 32 pixels are 4 x 4 cells, half of which are lesion.
    assert (sums.cells, sums.targets[-1]) == (16 * sums.images, 8 * sums.images)
    assert f"2 of {len(train)} lesion masks are not used" in caplog.text
    sums.validate()


def test_a_clinic_without_masks_has_no_sums(home: Home, weights: NDArray[np.float32]) -> None:
    with pytest.raises(TooFewMasks, match="No training images"):
        finder(home).sums(weights)


def test_a_model_that_is_not_finite_is_refused(home: Home, weights: NDArray[np.float32]) -> None:
    with pytest.raises(FederationError, match="not finite"):
        finder(home).sums(np.full_like(weights, np.nan))


def test_the_finder_is_saved_beside_its_model_and_no_other(home: Home, weights: NDArray[np.float32]) -> None:
    own = finder(home)
    run = ClinicConsent(home).approved_finder(CONTEXT)
    sent = LesionFinder.of(
        FinderSums.of(np.eye(20).reshape(20, 2, 2, 5), np.full((20, 2, 2), 0.5)), "ab" * 32
    )
    with pytest.raises(FederationError, match="another model"):
        own.save(sent)  # there is none yet
    save_last_model(home.models, run.hash, run.offer, weights, 3)
    with pytest.raises(FederationError, match="another model"):
        own.save(sent)
    own.save(LesionFinder(weights_digest(weights), sent.kernel, sent.bias, 20, 1))
    opened = open_model("last", home)
    found = load_finder(opened.file, opened.used.sha256)
    assert found is not None
    np.testing.assert_array_equal(found.kernel, sent.kernel)
    save_last_model(home.models, run.hash, run.offer, weights + np.float32(1), 3)
    assert not finder_file(opened.file).exists()  # it was the former model's


def test_a_model_with_the_clinics_own_last_layer_has_the_same_finder(
    home: Home, weights: NDArray[np.float32]
) -> None:
    own = finder(home)
    run = ClinicConsent(home).approved_finder(CONTEXT)
    save_last_model(home.models, run.hash, run.offer, weights, 3)
    model = find_saved_model(home.models, run.hash, run.offer)
    assert model is not None
    last = weights.copy()
    last[-1] += 1  # a bias of the last layer
    model.save_own(last)
    own.save(LesionFinder(weights_digest(weights), np.arange(3.0), 0.5, 20, 1))
    opened = open_model("last", home)
    assert opened.used.sha256 == weights_digest(last)
    assert load_finder(opened.file, opened.used.sha256) is not None


def test_a_plan_without_a_finder_has_none(home: Home) -> None:
    with pytest.raises(NotApproved, match="not part of the plan"):
        finder(home, lesion_finder=False)
