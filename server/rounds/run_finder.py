"""Fit a lesion finder to the masks of all clinics, on the maps of a run's last model, and send it to them."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any

import numpy as np
from flwr.app import RecordDict
from flwr.serverapp import Grid

from dermafed.server.rounds.exchange import Assignment
from dermafed.server.rounds.queries import collect
from dermafed.server.rounds.round_rules import RoundRules
from dermafed.server.rounds.shares import Member, check_told, scaled_to_cap
from dermafed.shared.errors import FederationError
from dermafed.shared.lesion_finder.finder import LesionFinder
from dermafed.shared.lesion_finder.finder_sums import FinderSums
from dermafed.shared.model.weights_digest import weights_digest
from dermafed.shared.protocol.agreement import decode_ready
from dermafed.shared.protocol.finder_messages import decode_finder_sums, encode_finder
from dermafed.shared.protocol.messages import FINDER_QUERY, LESIONS_QUERY, encode_instruction
from dermafed.shared.storage.atomic_files import write_json
from dermafed.shared.training.trainer import FloatVector

LESION_FINDER_FILE = "lesion-finder.json"


@dataclass(frozen=True)
class ClinicsFinder:
    """The lesion finder of a model by the clinics.

    Attributes:
        round: the round whose model it belongs to.
        finder: of all their masks together; ``None`` if no clinic has enough.
        clinics: the number of images that each clinic with masks summed up, by name in alphabetical order.
        left_out: the other clinics' names, each with the reason.
    """

    round: int
    finder: LesionFinder | None
    clinics: dict[str, int]
    left_out: dict[str, str]

    def of_model(self, weights: FloatVector, round: int) -> ClinicsFinder:
        """The same for a model that differs in its last layer only, which has the same maps."""
        own = self.finder and replace(self.finder, model=weights_digest(weights))
        return replace(self, round=round, finder=own)

    def within(self, weights: FloatVector) -> FloatVector:
        """A model of the lesion's features, float32 (P,), that reads the lesion which this finder finds.

        Without a finder it reads the whole image, as before.
        """
        if self.finder is None:
            return weights
        own = self.finder.flat()
        return np.concatenate([own, weights[own.size :]])

    def save(self, folder: Path) -> None:
        """Write ``lesion-finder.json`` into a run's folder; raises a StorageError if that is not possible."""
        document = None if self.finder is None else self.finder.to_document()
        facts = {"round": self.round, "clinics": self.clinics, "left_out": self.left_out}
        write_json(folder / LESION_FINDER_FILE, {**facts, "finder": document})


def fit_with_clinics(
    grid: Grid,
    weights: FloatVector,
    round: int,
    rules: RoundRules,
    members: Mapping[str, Member] | None = None,
) -> ClinicsFinder:
    """Let the connected clinics fit a lesion finder together.

    No quorum is needed: the run's model exists already, and clinics without masks have no sums. No clinic's
    cells count for more than its largest share, as in a round.

    Args:
        grid: Flower's connection to the clinics.
        weights: the model, float32 (P,).
        round: the model's round.
        rules: how long to wait, the cap of a share, and how much larger than usual a clinic's maps may be.
        members: the clinics by the agreement, of which none may count more images than it told.
    """

    def decode(clinic: str, content: RecordDict) -> tuple[FinderSums, float]:
        sums, seconds = decode_finder_sums(content)
        check_told(clinic, sums.images, members)
        return sums, seconds

    asked = Assignment(LESIONS_QUERY, round, encode_instruction(weights, round, {}))
    found, left_out = collect(grid, asked, rules, decode)
    unusual = unlike_most(found, rules.largest_step)
    sums = {name: own for name, own in found.items() if name not in unusual}
    clinics, without = {name: own.images for name, own in sums.items()}, {**left_out, **unusual}
    if not sums:
        return ClinicsFinder(round, None, clinics, without)
    total = reduce(add, capped_sums(sums, rules.largest_share).values())
    return ClinicsFinder(round, LesionFinder.of(total, weights_digest(weights), len(sums)), clinics, without)


def send_finder(grid: Grid, found: ClinicsFinder, rules: RoundRules) -> None:
    """Send the finder, if there is one, to the connected clinics, which save it beside its model."""
    if found.finder is not None:
        message = Assignment(FINDER_QUERY, found.round, encode_finder(found.finder))
        collect(grid, message, rules, lambda clinic, reply: (None, decode_ready(reply)))


def unlike_most(sums: Mapping[str, FinderSums], largest_step: float | None) -> dict[str, str]:
    """The clinics whose cells are others than most clinics', or far larger, each with the reason.

    Args:
        sums: by clinic.
        largest_step: how many times larger than the median a clinic's features may be; ``None``: any number.
    """
    if not sums:
        return {}
    usual = Counter(own.features for own in sums.values()).most_common(1)[0][0]
    squares = {name: float(np.trace(own.gram[:-1, :-1])) / own.cells for name, own in sums.items()}
    middle = sorted(squares.values())[(len(squares) - 1) // 2]
    largest = math.inf if largest_step is None else middle * largest_step**2
    reasons = {
        name: "its maps are far larger than those of most clinics" for name in sums if squares[name] > largest
    }
    others = {
        name: "it summed up other cells than most clinics"
        for name, own in sums.items()
        if own.features != usual
    }
    return {**reasons, **others}


def capped_sums(sums: Mapping[str, FinderSums], largest_share: float) -> dict[str, FinderSums]:
    """The sums, those of the most cells scaled down until no clinic has more than the largest share."""
    return scaled_to_cap(sums, {name: round(own.cells) for name, own in sums.items()}, largest_share)


def load_run_finder(folder: Path) -> tuple[LesionFinder | None, dict[str, Any]] | None:
    """The finder that :meth:`ClinicsFinder.save` wrote, and the rest of the file; ``None`` without a file.

    Raises:
        FederationError: the file is damaged.
    """
    path = folder / LESION_FINDER_FILE
    if not path.exists():
        return None
    try:
        content: dict[str, Any] = json.loads(path.read_text("utf-8"))
        document = content.pop("finder")
        return (None if document is None else LesionFinder.from_document(document)), content
    except (OSError, ValueError, LookupError, TypeError, AttributeError, FederationError) as error:
        raise FederationError("The run's lesion finder cannot be read", where=path) from error
