"""Run the rounds: train at the clinics, aggregate, step, evaluate at the clinics."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from typing import TypeVar

import numpy as np
from flwr.app import MessageType
from flwr.serverapp import Grid

from dermafed.server.rounds.acceptance import setback
from dermafed.server.rounds.checkpoint import RunState
from dermafed.server.rounds.clinic_round import ClinicRound
from dermafed.server.rounds.coding import without_scale
from dermafed.server.rounds.collector import Collector
from dermafed.server.rounds.connected import connected, reasons
from dermafed.server.rounds.evaluations import Evaluated, Evaluations
from dermafed.server.rounds.exchange import Assignment, Participation
from dermafed.server.rounds.federation import Federation
from dermafed.server.rounds.grouped_rounds import train_by_groups
from dermafed.server.rounds.head_round import Fit, HeadRound, ridge_fit
from dermafed.server.rounds.history import HistoryRow, best_round
from dermafed.server.rounds.ledger_heads import exchange_watched
from dermafed.server.rounds.robust_models import RobustModels
from dermafed.server.rounds.round_rules import RoundRules
from dermafed.server.rounds.strategies import ExactHead, Means
from dermafed.server.rounds.sum_attempts import SumLostError
from dermafed.server.rounds.summed_rounds import evaluate_by_sums, lost_round, train_by_sums
from dermafed.server.rounds.trained_models import Trained, TrainedModels
from dermafed.server.rounds.trained_round import TrainedRound, load_trained, save_trained
from dermafed.shared.errors import FederationError
from dermafed.shared.protocol.messages import HEAD_TRAIN, Instruction, encode_instruction
from dermafed.shared.training.trainer import FloatVector

log = logging.getLogger("dermafed.server")

_Outcome = TypeVar("_Outcome")


def run_rounds(grid: Grid, state: RunState, federation: Federation) -> Iterator[RunState]:
    """Run the remaining rounds, or fewer if the model has stopped improving.

    Args:
        grid: Flower's connection to the clinics.
        state: the run's state.
        federation: what stays the same.

    Yields:
        The state after each round.

    Raises:
        FederationError: a quorum was missed too often, or the model is no longer finite.
    """
    while not is_over(state, federation.rules):
        state = _round(grid, state, federation)
        yield state


def is_over(state: RunState, rules: RoundRules) -> bool:
    """Whether all rounds are done, or too many since the best one."""
    since_best = state.round - best_round(state.history)
    return state.round >= rules.rounds or (rules.patience is not None and since_best >= rules.patience)


def _round(grid: Grid, state: RunState, federation: Federation) -> RunState:
    start = time.monotonic()
    number = state.round + 1
    try:
        trained = _trained(grid, state, federation, number)
    except SumLostError as error:
        row = lost_round(number, error, time.monotonic() - start)
        memory = without_scale(state.memory)  # a sum that did not fit is the scale's fault
        return replace(state, round=number, memory=memory, history=(*state.history, row))
    evaluation, evaluated = evaluate(grid, trained.weights, federation, number)
    row = history_row(trained, evaluation, evaluated, number, time.monotonic() - start)
    if federation.rolls_back and (why := setback(row, state.history)):
        log.warning("Round %d is rolled back: %s", number, why)
        return replace(state, round=number, history=(*state.history, replace(row, rolled_back=why)))
    history = (*state.history, row)
    return replace(state, round=number, weights=trained.weights, memory=trained.memory, history=history)


def history_row(
    trained: TrainedRound, evaluation: Evaluated, evaluated: Participation, number: int, seconds: float
) -> HistoryRow:
    """A round's row of the history, from its training and evaluation and who took part in that."""
    took_part = trained.participation
    return HistoryRow(
        round=number,
        train_loss=trained.loss,
        validation_loss=evaluation.loss,
        validation_accuracy=evaluation.accuracy,
        validation_balanced_accuracy=evaluation.balanced_accuracy,
        validation_auc=evaluation.auc,
        replied=len(took_part.replied),
        left_out="; ".join([*reasons(took_part), *(f"{why} (evaluation)" for why in reasons(evaluated))]),
        seconds=seconds,
        overhead_seconds=seconds - took_part.busy_seconds - evaluated.busy_seconds,
        clinics=_clinics(trained, evaluation),
    )


def _trained(grid: Grid, state: RunState, federation: Federation, number: int) -> TrainedRound:
    """The round's training and step, once: with clinics that count, no second model can be evaluated."""
    counted = federation.counts_on_clinics
    found = load_trained(federation.folder, state) if counted else None
    if found is not None:
        return found
    training, participation = _train(grid, state, federation, number)
    weights, memory = _step(state, training.mean, federation, number)
    trained = TrainedRound(weights, memory, training.loss, training.clinics, participation)
    if counted:
        save_trained(federation.folder, state, trained)
    return trained


def _clinics(training: TrainedRound, evaluation: Evaluated) -> tuple[ClinicRound, ...]:
    """Each clinic's part in the round, by name."""
    names = sorted({*training.clinics, *evaluation.by_clinic})
    return tuple(
        replace(training.clinics.get(name, ClinicRound(name)), **evaluation.by_clinic.get(name, {}))  # type: ignore[arg-type]
        for name in names
    )


def _train(grid: Grid, state: RunState, federation: Federation, number: int) -> tuple[Trained, Participation]:
    sums, strategy = federation.sums, federation.strategy
    if sums is not None and federation.steps is not None:
        return federation.steps.train(grid, state, sums, number)
    asked = Instruction(state.weights, number, strategy.instructions(), selection=federation.selection)
    if sums is not None and federation.robust.active:
        return train_by_groups(grid, asked, sums, federation)
    if sums is not None and (coding := federation.coding) is not None:
        asked = replace(asked, selection=coding.in_sum(state.memory, sums.summing.images, number))
        return train_by_sums(grid, asked, sums, federation.screen.parts, coding.whole)
    if sums is not None:
        return train_by_sums(grid, asked, sums, federation.screen.parts)
    content = encode_instruction(asked.weights, number, asked.config, asked.selection)
    rules, screen, members = federation.rules, federation.screen, federation.members
    if isinstance(federation.strategy, ExactHead):
        return head_of_clinics(grid, state, federation, number, ridge_fit(federation.strategy.ridge))
    robust = federation.robust
    kind = partial(RobustModels, robust=robust, number=number) if robust.active else TrainedModels
    models = partial(kind, state.weights, rules, screen, members, federation.folder, federation.held)
    return until_quorum(grid, Assignment(MessageType.TRAIN, number, content), federation, models)


def head_of_clinics(
    grid: Grid, state: RunState, federation: Federation, number: int, fit: Fit
) -> tuple[Trained, Participation]:
    """The model whose last layer is fitted to the clinics' sums, as the round of this number."""
    content = encode_instruction(state.weights, number, federation.strategy.instructions())
    head = partial(HeadRound, state.weights, federation.classes, fit, federation.rules, federation.members)
    return until_quorum(
        grid, Assignment(HEAD_TRAIN, number, content), federation, lambda: nullcontext(head())
    )


def _step(
    state: RunState, mean: Means, federation: Federation, number: int
) -> tuple[FloatVector, dict[str, FloatVector]]:
    """The strategy's step, as a float32 model."""
    before, coding = state.weights, federation.coding
    moved, memory = federation.strategy.step(before, mean, without_scale(state.memory), number)
    if federation.adapted is not None:
        moved = np.where(federation.adapted, moved, mean)
    weights = moved.astype(np.float32)
    if not np.isfinite(weights).all():
        raise FederationError(
            f"The model of round {number} is no longer finite", remedy="Lower the strategy's learning rate"
        )
    if coding is None:
        return weights, memory
    return coding.rounded(before, weights), coding.with_scale(memory, before, mean, number)


def evaluate(
    grid: Grid, weights: FloatVector, federation: Federation, number: int
) -> tuple[Evaluated, Participation]:
    """Evaluate a round's model at the clinics."""
    if federation.sums is not None:
        return evaluate_by_sums(grid, weights, federation.sums, number, federation.selection)
    content = encode_instruction(weights, number, {}, federation.selection)
    assignment = Assignment(MessageType.EVALUATE, number, content)
    of = federation
    evaluations = partial(Evaluations, of.classes, of.rules, of.members, of.melanoma, of.scores)
    return until_quorum(grid, assignment, federation, lambda: nullcontext(evaluations()))


def until_quorum(
    grid: Grid,
    assignment: Assignment,
    federation: Federation,
    collector: Callable[[], AbstractContextManager[Collector[_Outcome]]],
) -> tuple[_Outcome, Participation]:
    """Exchange messages until one attempt has a quorum of accepted replies."""
    rules, number, kind = federation.rules, assignment.round, assignment.kind
    for _ in range(rules.attempts):
        clinics = connected(grid, rules)
        with collector() as collected:
            asked = (grid, assignment, clinics, rules.deadline, collected.accept)
            participation = exchange_watched(federation.ledgers, *asked)
            _leave_out(participation, collected.compare())
            for why in reasons(participation):
                log.warning("Round %d, %s: left out %s", number, kind, why)
            # A rule that bears hostile clinics also bears that they are caught.
            caught = collected.caught if isinstance(collected, RobustModels) else 0
            if len(participation.replied) + caught >= rules.needed:
                return collected.result(), participation
    raise FederationError(
        f"Round {number} got {len(participation.replied)} of the {rules.needed} replies to '{kind}' it needs"
        f" in the last of {rules.attempts} attempts",
        where="; ".join(reasons(participation)) or f"{len(clinics)} clinics are connected",
        remedy="Fix the clinics named here, then resume the run",
    )


def _leave_out(participation: Participation, found: Mapping[str, str]) -> None:
    participation.replied = [name for name in participation.replied if name not in found]
    participation.left_out |= found
