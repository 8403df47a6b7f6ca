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
from dermafed.server.rounds.secure_sums import SecureSums
from dermafed.server.rounds.strategies import Means
from dermafed.server.rounds.sum_attempts import SumLostError
from dermafed.server.rounds.sum_exchange import Asked, Opened
from dermafed.server.rounds.trained_models import Trained
from dermafed.shared.compression.coded_change import coder_of
from dermafed.shared.compression.selection import Selection, put
from dermafed.shared.metrics.evaluation import BINS, ClinicEvaluation
from dermafed.shared.model.parts import VARIANCES, Parts
from dermafed.shared.protocol.messages import Instruction, decode_instruction, encode_instruction
from dermafed.shared.protocol.summed import Label, digest_of, summed_sizes
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
    opened = sums.open(grid, _asked("train", asked), _asked("train", again))
    asked = asked if "codes" in opened.sums else again
    weight = float(opened.sums["weight"][0])
    if weight < len(opened.participation.replied):
        raise _impossible("update", "their weights are below one image each")
    mean = asked.weights.astype(np.float64) + _change(opened.sums, asked) / weight
    _end_rounding_below_zero(mean, parts, sums, opened, asked.weights.size)
    loss = float(opened.sums["loss"][0] / weight)
    clinics = {name: ClinicRound(name) for name in opened.participation.replied}
    return Trained(mean, loss, clinics), opened.participation


def evaluate_by_sums(
    grid: Grid, weights: FloatVector, sums: SecureSums, number: int, selection: Selection | None = None
) -> tuple[Evaluated, Participation]:
    """The evaluation of a round's model on all validation images; of NaN where its sum is lost.

    Raises:
        FederationError: the sum was not opened, but may be when the run goes on.
    """
    try:
        opened = sums.open(grid, _asked("evaluate", Instruction(weights, number, {}, selection=selection)))
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


def _asked(label: Label, asked: Instruction) -> Asked:
    content = encode_instruction(asked.weights, asked.round, asked.config, asked.selection)
    read = decode_instruction(content)
    return Asked(label, read.round, digest_of(read), *summed_sizes(read, label), content)


def _change(sums: Sums, asked: Instruction) -> NDArray[np.float64]:
    """The summed changes of all weights, float64 (P,)."""
    if (selection := asked.selection) is None:
        return sums["change"]
    found = np.zeros(asked.weights.size)
    put(found, selection.full, sums["change"])
    if selection.coded_size:
        coder = coder_of(selection, asked.model)
        put(found, selection.coded, coder.decode(sums["codes"], selection.step))
    return found


def _end_rounding_below_zero(
    mean: Means, parts: Parts, sums: SecureSums, opened: Opened, parameters: int
) -> None:
    """Variances that a sum's rounding has put below 0 become 0; others below 0 no clinic can have.

    Raises:
        SumLostError: a variance is further below 0 than by rounding.
    """
    layout = sums.summing.terms("train", parameters).layout
    error = layout.step(layout.parts[0]) / 2 * len(opened.participation.replied)
    of_variances = parts == VARIANCES
    variances = mean[of_variances]
    if variances.size and variances.min() < -2 * error / float(opened.sums["weight"][0]):
        raise _impossible("update", "batch normalisation's variances are below 0 on average")
    mean[of_variances] = np.maximum(variances, 0.0)


def _evaluated(sums: Sums, classes: int) -> Evaluated:
    """The metrics of all images together.

    Raises:
        SumLostError: no images have these counts.
    """
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
        raise _impossible("evaluation", "no images have such counts")
    auc = together.auc
    return Evaluated(
        max(0.0, together.loss),
        together.accuracy,
        together.balanced_accuracy,
        math.nan if auc is None else auc,
        {},
    )


def _impossible(what: str, why: str) -> SumLostError:
    return SumLostError(
        f"The sum of the clinics' {what}s is none of honest clinics: {why}",
        where="secure sum",
        remedy="A clinic that lies spoils a sum unseen: ask the clinics, or train without secure aggregation",
    )
