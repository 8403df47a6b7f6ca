"""Calibration over real Flower apps and messages, in process: sums give what all images would."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from flwr.app import Context

from dermafed.client.node.client_app import build_client_app
from dermafed.server.rounds.checkpoint import load_state
from dermafed.server.rounds.run_alert import CALIBRATION_FILE, alert_line, load_alert
from dermafed.server.rounds.run_calibration import load_run_calibration
from dermafed.shared.errors import DatasetError, FederationError
from dermafed.shared.metrics.calibration.calibration import Calibration
from dermafed.shared.metrics.calibration.calibration_sums import CalibrationSums
from dermafed.shared.metrics.calibration.class_offsets import ClassOffsets
from dermafed.shared.metrics.calibration.clinic_offsets import fit_clinic_offsets
from dermafed.shared.metrics.calibration.offset_fit import MOST_POINTS, FittedOffsets
from dermafed.shared.metrics.calibration.offset_sums import OffsetSums
from dermafed.shared.metrics.decision.lesion_scores import lesion_scores
from dermafed.shared.metrics.decision.score_histogram import ScoreHistogram
from dermafed.shared.protocol.messages import Instruction
from dermafed.shared.protocol.offset_messages import OffsetsRequest, offsets_from_config
from dermafed.shared.protocol.score_messages import ScoresRequest
from dermafed.shared.training.trainer import FloatVector
from dermafed.simulation.engines.local import run_local
from tests.server.small_clinics import SIZES, lesions, pooled, probabilities, server, trainer_for
from tests.shared.metrics.calibration.test_offset_fit import by_scipy

NAMES = ("vienna", "graz", "linz")
CLASSES = ("melanoma", "nevus", "seborrheic_keratosis")


def sums_of(clinic: int, asked: Instruction) -> CalibrationSums:
    features, labels = lesions(clinic, SIZES[clinic])
    logits = np.log(probabilities(asked.weights.astype(np.float64), features))
    offsets = offsets_from_config(asked.config)
    return CalibrationSums.of(logits, labels, asked.config["temperature"], offsets=offsets)


def slopes_of(clinic: int, weights: FloatVector, point: ClassOffsets) -> OffsetSums:
    features, labels = lesions(clinic, SIZES[clinic])
    return OffsetSums.of(np.log(probabilities(weights.astype(np.float64), features)), labels, point)


def scores_of(clinic: int, weights: FloatVector, federation: FittedOffsets) -> ScoreHistogram:
    """As a clinic counts them: each image a lesion."""
    features, labels = lesions(clinic, SIZES[clinic])
    logits = np.log(probabilities(weights.astype(np.float64), features))
    own = fit_clinic_offsets(federation, logits, labels, np.bincount(labels, minlength=3))
    shown = own.without_prior.probabilities(logits)
    return ScoreHistogram.of(lesion_scores(labels, shown, 0), shows_rare=False)


@dataclass
class Clinics:
    """The clinics' side; one may answer in another way."""

    odd: int = -1
    answer: Callable[[CalibrationSums], CalibrationSums] = lambda sums: sums
    slopes: Callable[[OffsetSums], OffsetSums] = lambda sums: sums
    scores: Callable[[ScoreHistogram], ScoreHistogram] = lambda scores: scores
    received: dict[int, Calibration] = field(default_factory=dict)
    temperatures: list[float] = field(default_factory=list)
    points: list[ClassOffsets] = field(default_factory=list)
    weights: FloatVector = field(default_factory=lambda: np.zeros(0, np.float32))

    def calibrator_for(self, context: Context) -> OneClinic:
        return OneClinic(self, int(context.node_config["partition-id"]))


@dataclass
class OneClinic:
    all: Clinics
    number: int

    def sums(self, asked: Instruction) -> CalibrationSums:
        self.all.temperatures.append(asked.config["temperature"])
        self.all.weights = asked.weights
        sums = sums_of(self.number, asked)
        return self.all.answer(sums) if self.number == self.all.odd else sums

    def offset_sums(self, asked: OffsetsRequest) -> OffsetSums:
        assert asked.model == hashlib.sha256(self.all.weights.tobytes()).hexdigest()
        self.all.points.append(asked.point)
        sums = slopes_of(self.number, self.all.weights, asked.point)
        return self.all.slopes(sums) if self.number == self.all.odd else sums

    def scores(self, asked: ScoresRequest) -> ScoreHistogram:
        assert asked.model == hashlib.sha256(self.all.weights.tobytes()).hexdigest()
        found = scores_of(self.number, self.all.weights, asked.federation)
        return self.all.scores(found) if self.number == self.all.odd else found

    def save(self, calibration: Calibration) -> None:
        self.all.received[self.number] = calibration


class WithoutSlopes(OneClinic):
    def offset_sums(self, asked: OffsetsRequest) -> OffsetSums:
        raise DatasetError("too few images of Jane Doe")


def calibrate_run(folder: Path, clinics: Clinics) -> None:
    app = build_client_app(trainer_for, calibrator_for=clinics.calibrator_for)  # type: ignore[arg-type]
    run_local(server(folder, rounds=2, calibrate=CLASSES), app, NAMES)


def test_the_clinics_sums_give_what_all_images_together_would(tmp_path: Path) -> None:
    calibrate_run(tmp_path, clinics := Clinics())
    weights = load_state(tmp_path).weights
    features, labels = pooled()
    logits = np.log(probabilities(weights.astype(np.float64), features))
    calibration = load_run_calibration(tmp_path)
    assert calibration is not None
    fitted = calibration.federation
    assert fitted is not None
    best, offsets = 1 / fitted.point.scale, fitted.point.offsets
    together = CalibrationSums.of(logits, labels, best, offsets=offsets)
    assert calibration.model == hashlib.sha256(weights.tobytes()).hexdigest()
    assert (calibration.clinics, calibration.sums.images, calibration.classes) == (3, sum(SIZES), CLASSES)
    assert calibration.sums.temperature == pytest.approx(best, rel=1e-6)
    assert calibration.sums.after.error == pytest.approx(together.after.error, abs=1e-9)
    assert calibration.sums.loss_after == pytest.approx(together.loss_after)
    assert clinics.temperatures == [1.0] * 3 + [calibration.sums.temperature] * 3
    assert calibration.sums.loss_after < calibration.sums.loss_before


def test_scale_and_offsets_are_those_of_all_images_together(tmp_path: Path) -> None:
    calibrate_run(tmp_path, clinics := Clinics())
    calibration = load_run_calibration(tmp_path)
    assert calibration is not None
    fitted = calibration.federation
    assert fitted is not None
    features, labels = pooled()
    weights = load_state(tmp_path).weights.astype(np.float64)
    expected = by_scipy((np.log(probabilities(weights, features)), labels), ClassOffsets.none(3))
    assert fitted.point.vector == pytest.approx(expected, abs=1e-6)
    assert (fitted.converged, fitted.images, fitted.clinics) == (True, sum(SIZES), 3)
    assert len(clinics.points) == 3 * fitted.points <= 3 * MOST_POINTS
    # The first point is the temperature of the sums before, without offsets.
    assert clinics.points[0].offsets == (0.0, 0.0, 0.0)
    assert calibration.sums.offsets == fitted.point.offsets


@pytest.mark.parametrize(
    "lie",
    [
        lambda sums: replace(sums, counts=sums.counts * 10**6, loss=float("nan")),
        lambda sums: replace(sums, gradient=sums.gradient * 1e9),
        lambda sums: replace(sums, hessian=-sums.hessian),
    ],
)
def test_a_clinic_whose_slopes_cannot_be_used_has_no_part_in_the_offsets(
    tmp_path: Path, lie: Callable[[OffsetSums], OffsetSums]
) -> None:
    calibrate_run(tmp_path, clinics := Clinics(odd=1, slopes=lie))
    calibration = load_run_calibration(tmp_path)
    assert calibration is not None
    assert calibration.federation is not None
    assert (calibration.federation.clinics, calibration.federation.images) == (2, SIZES[0] + SIZES[2])
    assert calibration.clinics == 3
    # It was asked once.
    assert len(clinics.points) == 2 * calibration.federation.points + 1


def test_clinics_that_send_no_slopes_fit_a_temperature(tmp_path: Path) -> None:
    clinics = Clinics()
    app = build_client_app(
        trainer_for,
        calibrator_for=lambda context: WithoutSlopes(clinics, int(context.node_config["partition-id"])),  # type: ignore[arg-type,return-value]
    )
    run_local(server(tmp_path, rounds=1, calibrate=CLASSES), app, NAMES)
    calibration = load_run_calibration(tmp_path)
    assert calibration is not None
    assert calibration.federation is None
    assert calibration.sums.offsets == ()


def test_the_clinics_lesions_are_counted_by_their_scores(tmp_path: Path) -> None:
    calibrate_run(tmp_path, clinics := Clinics())
    calibration = load_run_calibration(tmp_path)
    assert calibration is not None
    assert calibration.federation is not None
    assert calibration.scores is not None
    weights, fitted = load_state(tmp_path).weights, calibration.federation
    # The smallest clinic has no class with five lesions.
    with pytest.raises(DatasetError):
        scores_of(0, weights, fitted)
    expected = sum(scores_of(clinic, weights, fitted).counts for clinic in (1, 2))
    assert (calibration.scores.counts == expected).all()
    for received in clinics.received.values():
        assert received.scores is not None
        assert (received.scores.counts == expected).all()


def test_the_file_says_what_one_threshold_does_and_promises(tmp_path: Path) -> None:
    calibrate_run(tmp_path, Clinics())
    calibration = load_run_calibration(tmp_path)
    assert calibration is not None
    assert calibration.scores is not None
    others, melanomas = calibration.scores.counts.sum(axis=1)
    alert = load_alert(tmp_path)
    assert alert is not None
    line = alert_line(alert)
    assert f" of {melanomas} melanomas and {others} other validation lesions. " in line
    assert alert["promise"]["sentence"] in line
    assert alert["point"]["sensitivity"]["value"] >= 0.95
    assert load_alert(tmp_path / "none") is None
    for damaged in ("{", "[]", '{"trust": null}', '{"trust": {"figures": {"alert_of_all": {"point": 3}}}}'):
        (tmp_path / CALIBRATION_FILE).write_text(damaged)
        assert load_alert(tmp_path) is None


def test_without_melanomas_the_line_says_that_nothing_is_promised() -> None:
    promised = {"sentence": "Cannot be promised here: 0 melanomas", "possible": False}
    line = alert_line({"score": "", "point": None, "promise": promised})
    assert line == "Alert for melanoma: Cannot be promised here: 0 melanomas"


@pytest.mark.parametrize(
    "lie",
    [
        lambda scores: replace(scores, counts=-scores.counts),
        lambda scores: replace(scores, counts=scores.counts * 10**9),
    ],
)
def test_scores_that_cannot_be_used_are_left_out(
    tmp_path: Path, lie: Callable[[ScoreHistogram], ScoreHistogram]
) -> None:
    calibrate_run(tmp_path, Clinics(odd=1, scores=lie))
    calibration = load_run_calibration(tmp_path)
    assert calibration is not None
    assert calibration.federation is not None
    assert calibration.scores is not None
    weights, fitted = load_state(tmp_path).weights, calibration.federation
    expected = scores_of(2, weights, fitted).counts
    assert (calibration.scores.counts == expected).all()


def test_every_clinic_gets_the_calibration(tmp_path: Path) -> None:
    calibrate_run(tmp_path, clinics := Clinics())
    calibration = load_run_calibration(tmp_path)
    assert calibration is not None
    assert sorted(clinics.received) == [0, 1, 2]
    for received in clinics.received.values():
        assert (received.model, received.sums.temperature) == (
            calibration.model,
            calibration.sums.temperature,
        )
        assert (received.sums.after.images == calibration.sums.after.images).all()


def too_few(sums: CalibrationSums) -> CalibrationSums:
    raise DatasetError("too few images of Jane Doe")


def at_another_temperature(sums: CalibrationSums) -> CalibrationSums:
    return replace(sums, temperature=3.0)


def impossible(sums: CalibrationSums) -> CalibrationSums:
    return replace(sums, losses=-sums.losses)


@pytest.mark.parametrize("answer", [too_few, at_another_temperature, impossible])
def test_a_clinic_whose_sums_cannot_be_used_is_left_out(
    tmp_path: Path, answer: Callable[[CalibrationSums], CalibrationSums]
) -> None:
    calibrate_run(tmp_path, Clinics(odd=1, answer=answer))
    received = json.loads((tmp_path / CALIBRATION_FILE).read_text())
    assert (list(received["clinics"]), list(received["left_out"])) == (["linz", "vienna"], ["graz"])
    assert "Jane" not in json.dumps(received)
    calibration = load_run_calibration(tmp_path)
    assert calibration is not None
    assert (calibration.clinics, calibration.sums.images) == (2, SIZES[0] + SIZES[2])


def test_without_an_answer_there_is_no_calibration(tmp_path: Path) -> None:
    run_local(server(tmp_path, rounds=1, calibrate=CLASSES), build_client_app(trainer_for), NAMES)
    assert json.loads((tmp_path / CALIBRATION_FILE).read_text())["trust"] is None
    assert load_run_calibration(tmp_path) is None


def test_a_run_that_does_not_ask_has_no_file(tmp_path: Path) -> None:
    run_local(server(tmp_path, rounds=1), build_client_app(trainer_for), NAMES)
    assert not (tmp_path / CALIBRATION_FILE).exists()
    assert load_run_calibration(tmp_path) is None


@pytest.mark.parametrize("content", ["", "{}", '{"trust": {"format": 1}}', "[]"])
def test_a_damaged_file_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / CALIBRATION_FILE).write_text(content)
    with pytest.raises(FederationError, match="cannot be read") as refused:
        load_run_calibration(tmp_path)
    assert refused.value.where.endswith(CALIBRATION_FILE)
