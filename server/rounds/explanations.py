"""How good the explanations of a run's last model are at the clinics: one question, figures only."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, field
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any

from flwr.app import RecordDict
from flwr.serverapp import Grid

from dermafed.server.rounds.exchange import Assignment, exchange
from dermafed.server.rounds.round_rules import RoundRules
from dermafed.server.rounds.rounds import connected
from dermafed.shared.explain.quality.quality_sums import ExplanationQuality
from dermafed.shared.protocol.messages import EXPLAIN_QUERY, decode_explanation_quality, encode_instruction
from dermafed.shared.storage.atomic_files import write_json
from dermafed.shared.training.trainer import FloatVector

EXPLANATIONS_FILE = "explanations.json"

log = logging.getLogger("dermafed.server")


@dataclass(frozen=True)
class ClinicsExplanations:
    """The clinics' answers.

    Attributes:
        round: the round whose model was explained.
        clinics: each answering clinic's figures, by name in alphabetical order.
        left_out: the other clinics' names, each with the reason.
    """

    round: int
    clinics: dict[str, ExplanationQuality]
    left_out: dict[str, str]

    def to_dict(self) -> dict[str, Any]:
        """Means and intervals of each clinic and of all images together (``None`` without any), for JSON."""
        together = reduce(add, self.clinics.values()) if self.clinics else None
        return {
            "round": self.round,
            "all": together.summary() if together else None,
            "clinics": {name: quality.summary() for name, quality in self.clinics.items()},
            "left_out": self.left_out,
        }


@dataclass
class _Answers:
    received: list[ExplanationQuality] = field(default_factory=list)

    def accept(self, content: RecordDict) -> float:
        """Take in one reply; see :class:`dermafed.server.rounds.aggregate.Collector`."""
        quality, seconds = decode_explanation_quality(content)
        self.received.append(quality)
        return seconds


def ask_explanations(grid: Grid, weights: FloatVector, round: int, rules: RoundRules) -> ClinicsExplanations:
    """Ask every connected clinic to measure explanations of a model on its own images.

    No quorum is needed: the run's model is there already, and a clinic with too few images may not answer.

    Args:
        grid: Flower's connection to the clinics.
        weights: the model, float32 (P,).
        round: the round it comes from.
        rules: how long to wait for clinics and for their answers.
    """
    assignment = Assignment(EXPLAIN_QUERY, round, encode_instruction(weights, round, {}))
    answers = _Answers()
    attendance = exchange(grid, assignment, connected(grid, rules), rules.deadline, answers.accept)
    for clinic, reason in sorted(attendance.left_out.items()):
        log.warning("Explanations: left out %s: %s", clinic, reason)
    by_name = sorted(zip(attendance.replied, answers.received, strict=True), key=lambda item: item[0])
    return ClinicsExplanations(round, dict(by_name), dict(sorted(attendance.left_out.items())))


def write_explanations(folder: Path, explanations: ClinicsExplanations) -> None:
    """Write ``explanations.json`` into a run's folder.

    Raises:
        StorageError: the file cannot be written.
    """
    write_json(folder / EXPLANATIONS_FILE, explanations.to_dict())


def load_explanations(folder: Path) -> dict[str, Any]:
    """What :func:`write_explanations` wrote."""
    content: dict[str, Any] = json.loads((folder / EXPLANATIONS_FILE).read_text("utf-8"))
    return content
