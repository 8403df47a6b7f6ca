"""Fit a scale and one offset a class to the validation images of all clinics together, by sums alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from flwr.app import RecordDict
from flwr.serverapp import Grid

from dermafed.server.rounds.exchange import Assignment
from dermafed.server.rounds.queries import collect
from dermafed.server.rounds.round_rules import RoundRules
from dermafed.server.rounds.shares import Member, check_told
from dermafed.shared.metrics.calibration.class_offsets import ClassOffsets
from dermafed.shared.metrics.calibration.offset_fit import FittedOffsets, fit_offsets
from dermafed.shared.metrics.calibration.offset_sums import OffsetSums
from dermafed.shared.protocol.messages import OFFSETS_QUERY
from dermafed.shared.protocol.offset_messages import (
    OffsetsRequest,
    decode_offset_sums,
    encode_offsets_request,
)


def fit_with_clinics(
    grid: Grid, first: OffsetsRequest, rules: RoundRules, members: Mapping[str, Member] | None
) -> FittedOffsets | None:
    """Ask the connected clinics for their sums at a few points, and find the scale and offsets.

    A clinic that falls away is left out of all points. The penalty draws to no offsets and the scale 1.

    Args:
        grid: Flower's connection to the clinics.
        first: the model, and the first point.
        rules: how long to wait for the clinics and their replies.
        members: the clinics by the agreement, of which none may count more images than it told.

    Returns:
        The fit; ``None`` if no clinic sends sums.
    """

    answering: set[str] | None = None  # whoever did not answer once is not waited for again

    def ask(point: ClassOffsets) -> dict[str, OffsetSums]:
        nonlocal answering

        def decode(clinic: str, content: RecordDict) -> tuple[OffsetSums, float]:
            sums, seconds = decode_offset_sums(content, point)
            check_told(clinic, sums.images, members)
            return sums, seconds

        content = encode_offsets_request(replace(first, point=point))
        asked = Assignment(OFFSETS_QUERY, first.round, content)
        found, _ = collect(grid, asked, rules, decode, answering)
        answering = set(found)
        return found

    return fit_offsets(ask, ClassOffsets.none(len(first.point.offsets)), first.point)
