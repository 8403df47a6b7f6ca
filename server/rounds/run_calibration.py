"""Calibrate a run's last model on the validation images of all clinics together."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any

from flwr.app import RecordDict
from flwr.serverapp import Grid

from dermafed.server.rounds.exchange import Assignment
from dermafed.server.rounds.queries import collect
from dermafed.server.rounds.round_rules import RoundRules
from dermafed.server.rounds.run_alert import CALIBRATION_FILE
from dermafed.server.rounds.run_offsets import fit_with_clinics
from dermafed.server.rounds.run_scores import count_scores
from dermafed.server.rounds.shares import Member, check_told
from dermafed.shared.errors import FederationError
from dermafed.shared.metrics.calibration.calibration import Calibration
from dermafed.shared.metrics.calibration.calibration_file import from_document, to_document
from dermafed.shared.metrics.calibration.calibration_sums import CalibrationSums
from dermafed.shared.metrics.calibration.class_offsets import ClassOffsets
from dermafed.shared.metrics.decision.lesion_scores import MELANOMA
from dermafed.shared.model.weights_digest import weights_digest
from dermafed.shared.protocol.agreement import decode_ready
from dermafed.shared.protocol.calibration_messages import decode_calibration_sums, encode_calibration
from dermafed.shared.protocol.messages import CALIBRATE_QUERY, CALIBRATION_QUERY, encode_instruction
from dermafed.shared.protocol.offset_messages import OffsetsRequest, offsets_to_config
from dermafed.shared.protocol.score_messages import ScoresRequest
from dermafed.shared.storage.atomic_files import write_json
from dermafed.shared.training.trainer import FloatVector


@dataclass(frozen=True)
class ClinicsCalibration:
    """The calibration of a model by the clinics.

    Attributes:
        round: the round whose model was calibrated.
        calibration: the calibration on all their images together; ``None`` if no clinic replied.
        clinics: each replying clinic's sums, by name in alphabetical order.
        left_out: the other clinics' names, each with the reason.
    """

    round: int
    calibration: Calibration | None
    clinics: dict[str, CalibrationSums]
    left_out: dict[str, str]

    def to_dict(self) -> dict[str, Any]:
        """As JSON types; of a single clinic only a summary, to see how the clinics differ."""
        return {
            "round": self.round,
            "trust": None if self.calibration is None else to_document(self.calibration),
            "clinics": {name: _summary(sums) for name, sums in self.clinics.items()},
            "left_out": self.left_out,
        }

    def save(self, folder: Path) -> None:
        """Write ``calibration.json`` into a run's folder; raises a StorageError if that is not possible."""
        write_json(folder / CALIBRATION_FILE, self.to_dict())


def calibrate_with_clinics(
    grid: Grid,
    weights: FloatVector,
    round: int,
    rules: RoundRules,
    classes: tuple[str, ...],
    members: Mapping[str, Member] | None = None,
) -> ClinicsCalibration:
    """Let the connected clinics calibrate a model together, and send them the result.

    They are asked for the sums that give the temperature, then for those that give scale and offsets
    (:func:`dermafed.server.rounds.run_offsets.fit_with_clinics`), then for the counts at these, and last
    for their lesions by the score of melanoma.
    No quorum is needed: the run's model exists already, and a clinic with too few images may not reply.

    Args:
        grid: Flower's connection to the clinics.
        weights: the model, float32 (P,).
        round: the model's round.
        rules: how long to wait for the clinics and their replies.
        classes: names of the model's classes.
        members: the clinics by the agreement, of which none may count more images than it told.
    """

    def request_sums(
        temperature: float, offsets: tuple[float, ...] = ()
    ) -> tuple[dict[str, CalibrationSums], dict[str, str]]:
        def decode(clinic: str, content: RecordDict) -> tuple[CalibrationSums, float]:
            sums, seconds = decode_calibration_sums(content, len(classes), offsets)
            if sums.temperature != temperature:
                raise FederationError("it used another temperature")
            check_told(clinic, sums.images, members)
            return sums, seconds

        config = {"temperature": temperature, **offsets_to_config(offsets)}
        instruction = encode_instruction(weights, round, config)
        return collect(grid, Assignment(CALIBRATE_QUERY, round, instruction), rules, decode)

    first, left_out = request_sums(1.0)
    if not first:
        return ClinicsCalibration(round, None, {}, left_out)
    temperature = reduce(add, first.values()).best_temperature
    offsets: tuple[float, ...] = ()
    start = ClassOffsets(1 / temperature, (0.0,) * len(classes))
    fitted = fit_with_clinics(grid, OffsetsRequest(weights_digest(weights), round, start), rules, members)
    if fitted is not None:
        temperature, offsets = 1 / fitted.point.scale, fitted.point.offsets
    clinics, left_out = request_sums(temperature, offsets)
    if not clinics:
        return ClinicsCalibration(round, None, {}, left_out)
    sums, digest = reduce(add, clinics.values()), weights_digest(weights)
    scores = None
    if fitted is not None and MELANOMA in classes:
        scores = count_scores(grid, ScoresRequest(digest, round, fitted), rules, members)
    calibration = Calibration(digest, classes, sums, len(clinics), federation=fitted, scores=scores)
    message = Assignment(CALIBRATION_QUERY, round, encode_calibration(calibration))
    collect(grid, message, rules, lambda clinic, reply: (None, decode_ready(reply)))
    return ClinicsCalibration(round, calibration, clinics, left_out)


def load_run_calibration(folder: Path) -> Calibration | None:
    """The calibration that :meth:`ClinicsCalibration.save` wrote; ``None`` if there is none.

    Raises:
        FederationError: the file is damaged.
    """
    path = folder / CALIBRATION_FILE
    if not path.exists():
        return None
    try:
        document = json.loads(path.read_text("utf-8"))["trust"]
        return None if document is None else from_document(document)
    except (OSError, ValueError, LookupError, TypeError, FederationError) as error:
        raise FederationError("The run's calibration cannot be read", where=path) from error


def _summary(sums: CalibrationSums) -> dict[str, Any]:
    return {
        "images": sums.images,
        "own_temperature": sums.best_temperature,
        "error_before": sums.before.error,
        "error_after": sums.after.error,
    }
