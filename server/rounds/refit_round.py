"""The last round of a run: the last layer is trained anew on the last model's features, kept if no worse."""

from __future__ import annotations

import logging
import math
import time
from dataclasses import dataclass, replace

import numpy as np
from flwr.serverapp import Grid

from dermafed.server.rounds.checkpoint import RunState
from dermafed.server.rounds.federation import Federation
from dermafed.server.rounds.head_round import Fit, ridge_fit
from dermafed.server.rounds.head_slopes import SlopeFit
from dermafed.server.rounds.history import HistoryRow
from dermafed.server.rounds.rounds import evaluate, head_of_clinics, history_row
from dermafed.server.rounds.trained_round import TrainedRound, load_trained, save_trained
from dermafed.shared.protocol.plan import Refit
from dermafed.shared.training.trainer import FloatVector

_DONE = "refit"  # in the strategy's memory: whether the last layer was kept

log = logging.getLogger("dermafed.server")


@dataclass(frozen=True, slots=True)
class Refitting:
    """How the last layer is trained anew.

    Attributes:
        kind: ``ridge`` or ``logistic``.
        ridge: the penalty, above 0.
    """

    kind: Refit
    ridge: float

    @classmethod
    def of(cls, kind: Refit, ridge: float) -> Refitting | None:
        """``None`` for ``none``."""
        return None if kind == "none" else cls(kind, ridge)


def refitted(state: RunState) -> bool:
    """Whether the last layer was trained anew, kept or not."""
    return _DONE in state.memory


def refit_round(
    grid: Grid,
    state: RunState,
    federation: Federation,
    refitting: Refitting,
    start: FloatVector | None = None,
) -> RunState:
    """The state after one more round, whose model has another last layer if that is no worse.

    Args:
        grid: Flower's connection to the clinics.
        state: after the last round of training.
        federation: what stays the same.
        refitting: how.
        start: the model whose last layer is trained, if another than the last: one that reads the lesion.

    Raises:
        FederationError: a quorum was missed too often.
    """
    begin, number = time.monotonic(), state.round + 1
    read = state if start is None else replace(state, weights=start)
    trained = _trained(grid, read, federation, refitting)
    evaluation, evaluated = evaluate(grid, trained.weights, federation, number)
    row = history_row(trained, evaluation, evaluated, number, time.monotonic() - begin)
    kept = not state.history or not_worse(row, state.history[-1])
    log.info("The last layer trained anew is %s", "kept" if kept else "no better, and not kept")
    return replace(
        state,
        round=number,
        weights=trained.weights if kept else state.weights,
        memory={**state.memory, _DONE: np.array([kept], np.float32)},
        history=(*state.history, row),
    )


def not_worse(now: HistoryRow, before: HistoryRow) -> bool:
    """Whether balanced accuracy or AUC is higher in validation, or the former equal with no higher log loss.

    Either is enough: with few melanomas, balanced accuracy alone refuses layers that rank far better.
    """
    new, old = now.validation_balanced_accuracy, before.validation_balanced_accuracy
    if math.isnan(new) or math.isnan(old):
        return not math.isnan(new)
    if new > old or now.validation_auc > before.validation_auc:
        return True
    return new == old and now.validation_loss <= before.validation_loss


def _trained(grid: Grid, state: RunState, federation: Federation, refitting: Refitting) -> TrainedRound:
    """The model with the new last layer, once: with clinics that count, no second one can be evaluated."""
    counted, number = federation.members is not None, state.round + 1
    found = load_trained(federation.folder, state) if counted else None
    if found is not None:
        return found
    fit: Fit = ridge_fit(refitting.ridge)
    if refitting.kind == "logistic":
        fit = SlopeFit(grid, state.weights, number, federation.rules, refitting.ridge)
    training, participation = head_of_clinics(grid, state, federation, number, fit)
    weights = training.mean.astype(np.float32)
    trained = TrainedRound(weights, state.memory, training.loss, training.clinics, participation)
    if counted:
        save_trained(federation.folder, state, trained)
    return trained
