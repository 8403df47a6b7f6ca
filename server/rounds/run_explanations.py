"""Measure the quality of a run's explanations at the clinics; only metrics are sent."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any

from flwr.serverapp import Grid

from dermafed.server.rounds.exchange import Assignment
from dermafed.server.rounds.queries import collect
from dermafed.server.rounds.round_rules import RoundRules
from dermafed.shared.explain.quality.quality_sums import ExplanationQuality
from dermafed.shared.protocol.explanation_messages import decode_explanation_quality
from dermafed.shared.protocol.messages import EXPLAIN_QUERY, encode_instruction
from dermafed.shared.storage.atomic_files import write_json
from dermafed.shared.training.trainer import FloatVector

EXPLANATIONS_FILE = "explanations.json"


@dataclass(frozen=True)
class ClinicsExplanations:
    """The quality of a model's explanations at the clinics.

    Attributes:
        round: the round whose model was explained.
        clinics: each replying clinic's metrics, by name in alphabetical order.
        left_out: the other clinics' names, each with the reason.
    """

    round: int
    clinics: dict[str, ExplanationQuality]
    left_out: dict[str, str]

    def to_dict(self) -> dict[str, Any]:
        """Means and intervals by clinic, and of all images together (``None`` without any), as JSON types."""
        together = reduce(add, self.clinics.values()) if self.clinics else None
        return {
            "round": self.round,
            "all": together.summary() if together else None,
            "clinics": {name: quality.summary() for name, quality in self.clinics.items()},
            "left_out": self.left_out,
        }

    def save(self, folder: Path) -> None:
        """Write ``explanations.json`` into a run's folder; raises a StorageError if that is not possible."""
        write_json(folder / EXPLANATIONS_FILE, self.to_dict())


def measure_explanations(
    grid: Grid, weights: FloatVector, round: int, rules: RoundRules
) -> ClinicsExplanations:
    """Let every connected clinic measure explanations of a model on its own images.

    No quorum is needed: the run's model exists already, and a clinic with too few images may not reply.

    Args:
        grid: Flower's connection to the clinics.
        weights: the model, float32 (P,).
        round: the model's round.
        rules: how long to wait for the clinics and their replies.
    """
    assignment = Assignment(EXPLAIN_QUERY, round, encode_instruction(weights, round, {}))
    replies = collect(grid, assignment, rules, lambda clinic, reply: decode_explanation_quality(reply))
    return ClinicsExplanations(round, *replies)


def load_explanations(folder: Path) -> dict[str, Any]:
    """The content that :meth:`ClinicsExplanations.save` wrote."""
    content: dict[str, Any] = json.loads((folder / EXPLANATIONS_FILE).read_text("utf-8"))
    return content
