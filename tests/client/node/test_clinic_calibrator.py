"""The clinic's part in a calibration: its own validation images, its saved model, what it approved."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from flwr.app import Context, RecordDict
from numpy.typing import NDArray

from dermafed.client.clinic.diagnosis.opened_model import open_model
from dermafed.client.node.clinic_calibrator import ClinicCalibrator
from dermafed.client.node.consent import ClinicConsent
from dermafed.client.node.home import Home
from dermafed.client.node.own_model import own_model
from dermafed.client.node.replying import NotApproved
from dermafed.client.node.saved_models import find_saved_model
from dermafed.shared.errors import FederationError
from dermafed.shared.imaging.cache import PreprocessCache, default_cache_folder
from dermafed.shared.lesions.clinic_split import read_clinic_split
from dermafed.shared.metrics.calibration.calibration import Calibration
from dermafed.shared.metrics.calibration.calibration_file import load_calibration
from dermafed.shared.metrics.calibration.calibration_sums import CalibrationSums
from dermafed.shared.metrics.calibration.class_offsets import ClassOffsets
from dermafed.shared.metrics.calibration.offset_fit import FittedOffsets
from dermafed.shared.metrics.calibration.out_of_distribution import FEWEST_IMAGES
from dermafed.shared.metrics.decision.decision_settings import DecisionSettings
from dermafed.shared.model.classifier import build_classifier, logits_model, set_flat, to_flat
from dermafed.shared.model.model_settings import ModelSettings
from dermafed.shared.protocol.agreement import encode_counts
from dermafed.shared.protocol.messages import Instruction
from dermafed.shared.protocol.offset_messages import OffsetsRequest
from dermafed.shared.protocol.score_messages import ScoresRequest
from tests.client.planted_clinic import CLASSES, clinic, data_set, offer
from tests.shared.training.tiny import tiny_backbones

OFFER = offer(model=ModelSettings(CLASSES, backbone="EfficientNetB7", image_size=32))


@pytest.fixture(scope="module", autouse=True)
def _tiny() -> Iterator[None]:
    with tiny_backbones():
        yield


@pytest.fixture(scope="module")
def weights() -> NDArray[np.float32]:
    keras.utils.set_random_seed(3)
    return to_flat(build_classifier(OFFER.model))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("DERMAFED_CACHE", str(tmp_path / "cache"))
    data = data_set(tmp_path / "data", images=10 * FEWEST_IMAGES + 20)
    return clinic(tmp_path / "graz", data, policy='"limits"')


def calibrator(home: Home, **keys: bool) -> ClinicCalibrator:
    consent = ClinicConsent(home)
    run = Context(2 if keys else 1, 1000, {}, RecordDict(), {})  # each offer is one of Flower's runs
    consent.answer(replace(OFFER, **keys).to_text(), run)
    consent.prepare(encode_counts([9, 9]), run)
    return ClinicCalibrator(home, consent.approved_calibration(run))


def saved_calibration(home: Home) -> Calibration:
    """The calibration beside the last model of the clinic."""
    opened = open_model("last", home)
    calibration = load_calibration(opened.file, opened.used.sha256)
    assert calibration is not None
    return calibration


def asked(weights: NDArray[np.float32], temperature: float) -> Instruction:
    return Instruction(weights, 3, {"temperature": temperature})


def test_the_sums_are_of_the_validation_images(home: Home, weights: NDArray[np.float32]) -> None:
    own = calibrator(home)
    found = own.sums(asked(weights, 2.0))
    model = build_classifier(OFFER.model)
    set_flat(model, weights)
    records = read_clinic_split(own.run.folder.split).splits.validation
    images = PreprocessCache(default_cache_folder()).load([r.path for r in records], OFFER.preprocess).images
    logits = np.asarray(logits_model(model)(images.astype(np.float32), training=False))
    expected = CalibrationSums.of(logits, np.array([CLASSES.index(r.label) for r in records]), 2.0)
    assert found.losses == pytest.approx(expected.losses, rel=1e-5)
    assert found.images == len(records)
    assert (found.before.images.sum(axis=1) == expected.before.images.sum(axis=1)).all()


def test_the_calibration_is_saved_beside_its_model(home: Home, weights: NDArray[np.float32]) -> None:
    own = calibrator(home)
    sums = own.sums(asked(weights, 2.0))
    own.save(Calibration(hashlib.sha256(weights.tobytes()).hexdigest(), CLASSES, sums, clinics=3))
    calibration = saved_calibration(home)
    assert (calibration.clinics, calibration.sums.temperature) == (3, 2.0)
    # The out-of-distribution rule was fitted here, to the clinic's own images.
    assert calibration.out_of_distribution is not None
    assert calibration.out_of_distribution.images == sums.images


def test_the_slopes_are_of_the_same_images_and_the_clinic_fits_its_own(
    home: Home, weights: NDArray[np.float32]
) -> None:
    own, point = calibrator(home), ClassOffsets(0.5, (0.2, -0.2))
    model = hashlib.sha256(weights.tobytes()).hexdigest()
    with pytest.raises(FederationError, match="No model"):
        own.offset_sums(OffsetsRequest(model, 3, point))
    own.sums(asked(weights, 2.0))
    found = own.offset_sums(OffsetsRequest(model, 3, point))
    again = ClinicCalibrator(home, own.run).offset_sums(OffsetsRequest(model, 3, point))  # after a restart
    config = {"temperature": 2.0, "offset_0": 0.2, "offset_1": -0.2}
    sums = own.sums(Instruction(weights, 3, config))
    assert found.loss == again.loss
    assert sums.offsets_loss == pytest.approx(found.loss, rel=1e-6)
    assert found.counts.tolist() == sums.after.images.sum(axis=1).tolist()
    federation = FittedOffsets(point, tuple(found.counts.tolist()), found.loss / found.images, 5, 3, True)
    own.save(Calibration(model, CLASSES, sums, clinics=3, federation=federation))
    calibration = saved_calibration(home)
    assert calibration.own is not None
    assert calibration.federation == federation
    assert sum(calibration.own.shares) == pytest.approx(1)
    assert calibration.own.bins.images.sum() == found.images


def test_the_clinics_own_alert_is_fitted_and_saved(home: Home, weights: NDArray[np.float32]) -> None:
    own = calibrator(home)
    with home.settings_file.open("a") as file:
        file.write("[decision]\nsensitivity = 1\nprevalence = 0.02\n")
    own.save(
        Calibration(hashlib.sha256(weights.tobytes()).hexdigest(), CLASSES, own.sums(asked(weights, 2.0)))
    )
    calibration = saved_calibration(home)
    assert calibration.alert is not None
    assert calibration.alert.settings == DecisionSettings(sensitivity=1, prevalence=0.02)
    # At the least score of a melanoma of the validation images, as the calibration gives it.
    records = read_clinic_split(own.run.folder.split).splits.validation
    scores = [calibration.probabilities(logits)[0] for logits in own.last[0].outputs.logits]
    melanomas = [score for score, record in zip(scores, records, strict=True) if record.label == "melanoma"]
    assert calibration.alert.threshold == pytest.approx(min(melanomas), abs=2e-6)
    assert calibration.alert.alerts.melanomas == calibration.alert.alerts.found == len(melanomas)


def test_the_lesions_are_counted_by_the_score_that_the_clinics_offsets_give(
    home: Home, weights: NDArray[np.float32]
) -> None:
    own, model = calibrator(home), hashlib.sha256(weights.tobytes()).hexdigest()
    federation = FittedOffsets(ClassOffsets(0.5, (0.2, -0.2)), (40, 60), 0.7, 5, 3, True)
    with pytest.raises(FederationError, match="No model"):
        own.scores(ScoresRequest(model, 3, federation))
    sums = own.sums(asked(weights, 2.0))
    found = own.scores(ScoresRequest(model, 3, federation))
    own.save(Calibration(model, CLASSES, sums, clinics=3, federation=federation))
    calibration = saved_calibration(home)
    records = read_clinic_split(own.run.folder.split).splits.validation
    expected = np.zeros((2, 1000), np.int64)
    for logits, record in zip(own.last[0].outputs.logits, records, strict=True):
        shown = calibration.probabilities_without_prior(logits)
        assert shown is not None
        expected[int(record.label == "melanoma"), int(shown[0] * 1000)] += 1
    assert (found.counts == expected).all()
    with pytest.raises(FederationError, match="2 classes"):
        own.scores(ScoresRequest(model, 3, replace(federation, point=ClassOffsets.none(3))))


def test_settings_that_cannot_be_read_cost_the_alert_and_not_the_calibration(
    home: Home, weights: NDArray[np.float32], caplog: pytest.LogCaptureFixture
) -> None:
    own = calibrator(home)
    with home.settings_file.open("a") as file:
        file.write("[decision]\nsensitivity = 2\n")
    own.save(
        Calibration(hashlib.sha256(weights.tobytes()).hexdigest(), CLASSES, own.sums(asked(weights, 2.0)))
    )
    calibration = saved_calibration(home)
    assert calibration.alert is None
    assert "sensitivity is 2" in caplog.text


@pytest.mark.parametrize(
    ("model", "offsets"), [("1" * 64, (0.0, 0.0)), ("", (0.0, 0.0, 0.0)), ("", (0.0, float("nan")))]
)
def test_slopes_of_another_model_or_of_other_classes_are_refused(
    home: Home, weights: NDArray[np.float32], model: str, offsets: tuple[float, ...]
) -> None:
    own = calibrator(home)
    own.sums(asked(weights, 2.0))
    sent = OffsetsRequest(
        model or hashlib.sha256(weights.tobytes()).hexdigest(), 3, ClassOffsets(1.0, offsets)
    )
    with pytest.raises(FederationError, match=r"another model|2 classes"):
        own.offset_sums(sent)


@pytest.mark.parametrize("changed", [{"model": "1" * 64}, {"classes": ("nevus", "melanoma")}])
def test_the_calibration_of_another_model_is_refused(
    home: Home, weights: NDArray[np.float32], changed: dict[str, object]
) -> None:
    own = calibrator(home)
    calibration = Calibration(
        hashlib.sha256(weights.tobytes()).hexdigest(), CLASSES, own.sums(asked(weights, 2.0))
    )
    with pytest.raises(FederationError, match="another model"):
        own.save(replace(calibration, **changed))  # type: ignore[arg-type]


@pytest.mark.parametrize("temperature", [0.0, -1.0, 1e9, float("nan")])
def test_an_impossible_temperature_is_refused(
    home: Home, weights: NDArray[np.float32], temperature: float
) -> None:
    with pytest.raises(FederationError, match="no temperature"):
        calibrator(home).sums(asked(weights, temperature))


def test_a_plan_without_calibration_gets_none(home: Home) -> None:
    with pytest.raises(NotApproved, match="not part of the plan"):
        calibrator(home, calibrate=False)


def test_a_clinic_calibrates_and_uses_the_model_with_its_own_last_layer(
    home: Home, weights: NDArray[np.float32]
) -> None:
    plain, own = calibrator(home).sums(asked(weights, 1.0)), calibrator(home, own_layer=True)
    sums = own.sums(asked(weights, 1.0))
    assert sums.losses[0] != plain.losses[0]
    model = hashlib.sha256(weights.tobytes()).hexdigest()
    again = ClinicCalibrator(home, own.run)  # after a restart
    again.save(Calibration(model, CLASSES, sums, clinics=3))
    expected = own_model(own.run.folder.split, own.run.plan, weights)
    assert to_flat(open_model("last", home).classifier).tobytes() == expected.tobytes()
    assert (expected[: -len(CLASSES)] != weights[: -len(CLASSES)]).any()
    calibration = saved_calibration(home)
    assert calibration.model == hashlib.sha256(expected.tobytes()).hexdigest()
    saved = find_saved_model(home.models, own.run.hash, own.run.offer)
    assert saved is not None
    assert saved.weights().tobytes() == weights.tobytes(), "the global model stays beside it"
    own.sums(asked(weights * np.float32(1.01), 1.0))
    assert saved.own_weights().tobytes() == saved.weights().tobytes(), "of the model before: removed"
