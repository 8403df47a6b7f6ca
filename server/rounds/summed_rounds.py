"""A round by secure sums: the mean of the clinics' models and their evaluation, without any clinic's own."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from flwr.serverapp import Grid
from numpy.typing import NDArray

from dermafed.server.rounds.clinic_round import ClinicRound
from dermafed.server.rounds.evaluations import Evaluated
from dermafed.server.rounds.exchange import Participation
from dermafed.server.rounds.history import HistoryRow
from dermafed.server.rounds.opened_sums import Asked, GroupSum
from dermafed.server.rounds.secure_sums import SecureSums
from dermafed.server.rounds.strategies import Means
from dermafed.server.rounds.sum_attempts import SumLostError
from dermafed.server.rounds.trained_models import Trained
from dermafed.shared.compression.selection import Selection
from dermafed.shared.metrics.evaluation import BINS, ClinicEvaluation
from dermafed.shared.model.parts import VARIANCES, Parts
from dermafed.shared.protocol.messages import Instruction, decode_instruction, encode_instruction
from dermafed.shared.protocol.summed import (
    LARGEST_LOSS,
    MOST_IMAGES,
    Label,
    digest_of,
    summed_sizes,
    whole_change,
)
from dermafed.shared.training.trainer import FloatVector

Sums = Mapping[str, NDArray[np.float64]]

log = logging.getLogger("dermafed.server")


def train_by_sums(
    grid: Grid, asked: Instruction, sums: SecureSums, parts: Parts, whole: Selection | None = None
) -> tuple[Trained, Participation]:
    """The mean of the models that the clinics train in a round.

    Args:
        grid: Flower's connection to the clinics.
        asked: what they are asked for: the round, the model they start from, how changes travel.
        sums: the run's secure sums.
        parts: the part of each weight, uint8 (P,).
        whole: how changes travel after an attempt without success, since some may not have fitted.

    Raises:
        SumLostError: the sum can never be opened, or no clinics can have such updates.
        FederationError: it was not opened, but may be when the run goes on.
    """
    again = replace(asked, selection=whole)
    opened = sums.open(grid, asked_of("train", asked), asked_of("train", again))
    (group,) = opened.groups
    mean, loss = mean_of(group, asked if "codes" in group.sums else again, sums, parts)
    clinics = {name: ClinicRound(name) for name in opened.participation.replied}
    return Trained(mean, loss, clinics), opened.participation


def mean_of(group: GroupSum, asked: Instruction, sums: SecureSums, parts: Parts) -> tuple[Means, float]:
    """The mean model and loss of the clinics in a sum of updates.

    Args:
        group: the clinics and their sum.
        asked: what they were asked for: the model that they trained, and how changes travel.
        sums: the run's secure sums.
        parts: the part of each weight, uint8 (P,).

    Raises:
        SumLostError: no clinics can have such updates.
    """
    weight, loss = float(group.sums["weight"][0]), float(group.sums["loss"][0])
    if weight < len(group.names):
        raise impossible("update", "their weights are below one image each")
    if weight > len(group.names) * MOST_IMAGES:
        raise impossible("update", f"their weights are above {MOST_IMAGES:,} images each")
    change = whole_change(asked, group.sums) / weight
    rounding = _rounding(sums, group, change.size) / weight
    _check_possible(change, loss / weight, sums.summing.privacy.largest_change, rounding)
    mean = asked.weights.astype(np.float64) + change
    _end_rounding_below_zero(mean, parts, rounding)
    return mean, loss / weight


def evaluate_by_sums(
    grid: Grid, weights: FloatVector, sums: SecureSums, number: int, selection: Selection | None = None
) -> tuple[Evaluated, Participation]:
    """The evaluation of a round's model on all validation images; of NaN where its sum is lost.

    Raises:
        FederationError: the sum was not opened, but may be when the run goes on.
    """
    try:
        opened = sums.open(grid, asked_of("evaluate", Instruction(weights, number, {}, selection=selection)))
        return _evaluated(opened.sums, sums.summing.classes), opened.participation
    except SumLostError as error:
        log.warning("Round %d has no evaluation: %s", number, error)
        left_out = dict.fromkeys(sums.summing.roster.names, error.what)
        return Evaluated(math.nan, math.nan, math.nan, math.nan, {}), Participation(left_out=left_out)


def lost_round(number: int, error: SumLostError, seconds: float) -> HistoryRow:
    """The row of a round without a training, whose model is that of the round before."""
    log.warning("Round %d is lost: %s", number, error)
    nan, left_out = math.nan, f"all: {error.what}"
    return HistoryRow(number, nan, nan, nan, nan, nan, 0, left_out, seconds, seconds)


def asked_of(label: Label, asked: Instruction) -> Asked:
    """The sum of a round for which clinics are sent a model."""
    content = encode_instruction(asked.weights, asked.round, asked.config, asked.selection)
    read = decode_instruction(content)
    return Asked(label, read.round, digest_of(read), *summed_sizes(read, label), content)


def _rounding(sums: SecureSums, group: GroupSum, weights: int) -> float:
    """How far a sum of changes is off at most, by the rounding of its clinics' numbers."""
    layout = sums.summing.terms("train", weights).layout
    return layout.step(layout.parts[0]) / 2 * len(group.names)


def _check_possible(change: NDArray[np.float64], loss: float, largest: float, rounding: float) -> None:
    """Refuse a mean that no clinics have, whose own code refuses such values: one of them sent what it liked.

    Raises:
        SumLostError: names what is impossible.
    """
    if (found := float(np.abs(change).max(initial=0.0))) > largest + 2 * rounding:
        raise impossible("update", f"a weight changed by {found:.3g} on average, more than {largest:g}")
    if not -1.0 <= loss <= LARGEST_LOSS:  # 0, but for the sum's rounding
        raise impossible("update", f"the training loss is {loss:.3g}")


def _end_rounding_below_zero(mean: Means, parts: Parts, rounding: float) -> None:
    """Variances that a sum's rounding has put below 0 become 0; others below 0 no clinic can have.

    Raises:
        SumLostError: a variance is further below 0 than by rounding.
    """
    of_variances = parts == VARIANCES
    variances = mean[of_variances]
    if variances.size and variances.min() < -2 * rounding:
        raise impossible("update", "batch normalisation's variances are below 0 on average")
    mean[of_variances] = np.maximum(variances, 0.0)


def _evaluated(sums: Sums, classes: int) -> Evaluated:
    """The metrics of all images together; where they have noise, of patients, and without loss and AUC.

    Raises:
        SumLostError: no images have these counts.
    """
    if sums.keys() == {"confusion"}:
        noisy = ClinicEvaluation.with_noise(sums["confusion"].reshape(classes, classes))
        return Evaluated(math.nan, noisy.accuracy, noisy.balanced_accuracy, math.nan, {})
    whole = {name: np.rint(sums[name]).astype(np.int64) for name in ("images", "confusion", "histograms")}
    confusion = whole["confusion"].reshape(classes, classes)
    histograms = whole["histograms"].reshape(classes, 2, BINS)
    together = ClinicEvaluation(int(whole["images"][0]), float(sums["loss_sum"][0]), confusion, histograms)
    counted = histograms[:, 1].sum(axis=1)
    if (
        min(int(each.min()) for each in whole.values()) < 0
        or not 0 < together.images == confusion.sum()
        or (counted > confusion.sum(axis=1)).any()
    ):
        raise impossible("evaluation", "no images have such counts")
    auc = together.auc
    loss = together.loss
    return Evaluated(
        loss if math.isnan(loss) else max(0.0, loss),
        together.accuracy,
        together.balanced_accuracy,
        math.nan if auc is None else auc,
        {},
    )


def impossible(what: str, why: str) -> SumLostError:
    """That what was opened is no sum of what the clinics were asked for: the round goes on without it."""
    return SumLostError(
        f"The sum of the clinics' {what}s is none of honest clinics: {why}",
        where="secure sum",
        remedy="A clinic that lies spoils a sum unseen: ask the clinics, or train without secure aggregation",
    )
