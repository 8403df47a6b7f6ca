"""Audit a run's last model for shortcuts at the clinics; only counts and sums are sent."""

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
from dermafed.server.rounds.shares import Member, check_told
from dermafed.shared.artefacts.names import CHANGE_TITLES
from dermafed.shared.errors import FederationError
from dermafed.shared.metrics.shortcuts.shortcut_sums import ShortcutSums
from dermafed.shared.metrics.shortcuts.summed_effect import audit_summary
from dermafed.shared.protocol.audit_messages import decode_shortcut_sums
from dermafed.shared.protocol.messages import AUDIT_QUERY, encode_instruction
from dermafed.shared.storage.atomic_files import write_json
from dermafed.shared.training.trainer import FloatVector

MODEL_AUDIT_FILE = "model-audit.json"


@dataclass(frozen=True)
class ClinicsAudit:
    """The audit of a model by the clinics.

    Attributes:
        round: the round whose model was audited.
        clinics: each replying clinic's sums, by name in alphabetical order.
        left_out: the other clinics' names, each with the reason.
    """

    round: int
    clinics: dict[str, ShortcutSums]
    left_out: dict[str, str]

    def to_dict(self) -> dict[str, Any]:
        """By clinic, and of all lesions together (``None`` without any), as JSON types.

        Where a clinic left lesions of a small group out, so does the sum: no subtraction shows them.
        """
        together = reduce(add, self.clinics.values()) if self.clinics else None
        names = list(CHANGE_TITLES)
        return {
            "round": self.round,
            "all": None if together is None else audit_summary(together, names),
            "clinics": {name: audit_summary(sums, names) for name, sums in self.clinics.items()},
            "left_out": self.left_out,
        }

    def save(self, folder: Path) -> None:
        """Write ``model-audit.json`` into a run's folder; raises a StorageError if that is not possible."""
        write_json(folder / MODEL_AUDIT_FILE, self.to_dict())


def audit_with_clinics(
    grid: Grid,
    weights: FloatVector,
    round: int,
    rules: RoundRules,
    members: Mapping[str, Member] | None = None,
) -> ClinicsAudit:
    """Let every connected clinic audit a model on its own test images.

    No quorum is needed: the run's model exists already, and a clinic with too few lesions may not reply.

    Args:
        grid: Flower's connection to the clinics.
        weights: the model, float32 (P,).
        round: the model's round.
        rules: how long to wait for the clinics and their replies.
        members: the clinics by the agreement, of which none may count more lesions than it told images.
    """

    def decode(clinic: str, content: RecordDict) -> tuple[ShortcutSums, float]:
        sums, seconds = decode_shortcut_sums(content)
        check_told(clinic, sums.lesions, members)
        return sums, seconds

    assignment = Assignment(AUDIT_QUERY, round, encode_instruction(weights, round, {}))
    return ClinicsAudit(round, *collect(grid, assignment, rules, decode))


def load_run_audit(folder: Path) -> dict[str, Any] | None:
    """What :meth:`ClinicsAudit.save` wrote; ``None`` without a file.

    Raises:
        FederationError: the file is damaged.
    """
    path = folder / MODEL_AUDIT_FILE
    if not path.exists():
        return None
    try:
        content: dict[str, Any] = json.loads(path.read_text("utf-8"))
        fields = content["round"], content["all"], content["clinics"], content["left_out"]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise FederationError("The run's audit of shortcuts cannot be read", where=path) from error
    return dict(zip(("round", "all", "clinics", "left_out"), fields, strict=True))
