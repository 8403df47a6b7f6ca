"""The curves of a run by clinic; what few images say is not drawn."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

from dermafed.server.dashboard.charts import Chart, chart, styles_of
from dermafed.server.rounds.clinic_round import ClinicRound
from dermafed.server.rounds.history import HistoryRow

TOGETHER = "all clinics"

Curves = dict[str, list[tuple[int, float]]]


def run_charts(history: Sequence[HistoryRow], rounds: int, chosen: str = "") -> list[Chart]:
    """Loss, balanced accuracy and sensitivity for melanoma, as far as they are known.

    Args:
        history: the run's rounds.
        rounds: as many as are planned.
        chosen: a clinic to bring out.
    """
    return [panel for panel in _charts(history, rounds, chosen) if panel is not None]


def shown_balanced_accuracy(part: ClinicRound) -> float:
    """NaN where the clinic has too few validation images, or it is not known how many."""
    return math.nan if math.isnan(part.images) else part.balanced_accuracy


def _charts(history: Sequence[HistoryRow], rounds: int, chosen: str) -> Iterator[Chart | None]:
    losses = _curves(history, lambda part: part.train_loss)
    styles = styles_of(list(losses), TOGETHER, chosen)
    losses[TOGETHER] = [(row.round, row.train_loss) for row in history]
    aid = "Of each clinic's training images in the round; lower is better."
    yield chart("Training loss", aid, losses, styles, rounds=rounds, lower_is_better=True)
    scores = _curves(history, shown_balanced_accuracy)
    every = _curves(history, lambda part: part.balanced_accuracy)
    hidden = sum(_is_known(every[name]) and not _is_known(scores[name]) for name in every)
    scores[TOGETHER] = [(row.round, row.validation_balanced_accuracy) for row in history]
    yield chart(
        "Balanced accuracy",
        "The mean over the classes of the share found, on each clinic's validation images; 1 is perfect.",
        scores,
        styles,
        rounds=rounds,
        most=1.0,
        hidden=hidden,
    )
    found = _curves(history, lambda part: part.melanoma_sensitivity)
    yield chart(
        "Melanomas found",
        "Share of each clinic's validation melanomas that the model predicts as such, without an alert's "
        "threshold.",
        {name: points for name, points in found.items() if _is_known(points)},
        styles,
        rounds=rounds,
        most=1.0,
        hidden=sum(not _is_known(points) for points in found.values()),
    )


def _curves(history: Sequence[HistoryRow], value: Callable[[ClinicRound], float]) -> Curves:
    """A value of each clinic by round; NaN in the rounds that it missed."""
    names = sorted({one.clinic for row in history for one in row.clinics})
    parts = [(row.round, {one.clinic: value(one) for one in row.clinics}) for row in history]
    return {name: [(round, own.get(name, math.nan)) for round, own in parts] for name in names}


def _is_known(points: Sequence[tuple[int, float]]) -> bool:
    return any(not math.isnan(value) for _, value in points)
