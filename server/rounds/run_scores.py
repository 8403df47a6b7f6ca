"""Add up the clinics' validation lesions by their score of melanoma: thresholds and promises follow."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from operator import add

from flwr.app import RecordDict
from flwr.serverapp import Grid

from dermafed.server.rounds.exchange import Assignment
from dermafed.server.rounds.queries import collect
from dermafed.server.rounds.round_rules import RoundRules
from dermafed.server.rounds.shares import Member, check_told
from dermafed.shared.metrics.decision.score_histogram import ScoreHistogram
from dermafed.shared.protocol.messages import SCORES_QUERY
from dermafed.shared.protocol.score_messages import ScoresRequest, decode_scores, encode_scores_request


def count_scores(
    grid: Grid, asked: ScoresRequest, rules: RoundRules, members: Mapping[str, Member] | None
) -> ScoreHistogram | None:
    """Ask the connected clinics for their counts.

    Args:
        grid: Flower's connection to the clinics.
        asked: the model, and the offsets that all clinics fitted.
        rules: how long to wait for the clinics and their replies.
        members: the clinics by the agreement, of which none may count more lesions than it told images.

    Returns:
        The sum; ``None`` if no clinic replies.
    """

    def decode(clinic: str, content: RecordDict) -> tuple[ScoreHistogram, float]:
        scores, seconds = decode_scores(content)
        check_told(clinic, scores.lesions, members)
        return scores, seconds

    assignment = Assignment(SCORES_QUERY, asked.round, encode_scores_request(asked))
    found, _ = collect(grid, assignment, rules, decode)
    return reduce(add, found.values()) if found else None
