"""The server's Flower app: the rounds of a run, with its checkpoints and history in one folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np
from flwr.app import Context
from flwr.serverapp import Grid, ServerApp
from numpy.typing import NDArray

from dermafed.server.rounds.after_run import NOTHING, AfterRun
from dermafed.server.rounds.checkpoint import (
    RunState,
    Settings,
    check_same_settings,
    has_state,
    load_state,
    save_state,
)
from dermafed.server.rounds.coding import Coding
from dermafed.server.rounds.federation import Federation
from dermafed.server.rounds.held_classes import HeldClasses
from dermafed.server.rounds.history import HistoryRow, add_to_history, write_history
from dermafed.server.rounds.refit_round import refitted
from dermafed.server.rounds.round_rules import RoundRules
from dermafed.server.rounds.rounds import run_rounds
from dermafed.server.rounds.screening import Screen
from dermafed.server.rounds.secure_sums import SecureSums
from dermafed.server.rounds.server_defences import UNDEFENDED, ServerDefences
from dermafed.server.rounds.shares import Member
from dermafed.server.rounds.strategies import FedAvg, Strategy, describe_strategy
from dermafed.server.rounds.sum_attempts import SumAttempts
from dermafed.shared.errors import SettingsError
from dermafed.shared.model.parts import Parts, parts_without_layout
from dermafed.shared.storage.atomic_files import make_folder
from dermafed.shared.training.trainer import FloatVector

OnRound = Callable[[HistoryRow], None]


def build_server_app(
    weights: FloatVector,
    classes: int,
    rules: RoundRules,
    folder: Path,
    *,
    strategy: Strategy | None = None,
    settings: Settings | None = None,
    adapted: NDArray[np.bool_] | None = None,
    resume: bool = False,
    parts: Parts | None = None,
    melanoma: int | None = None,
    members: Mapping[str, Member] | None = None,
    held: HeldClasses | None = None,
    after: AfterRun = NOTHING,
    defences: ServerDefences = UNDEFENDED,
    coding: Coding | None = None,
    on_round: OnRound | None = None,
) -> ServerApp:
    """Build a ServerApp that runs the rounds of a run; its results are in ``folder``.

    ``load_best`` and ``load_state`` read the models; ``history.csv`` has a row for each round.

    Args:
        weights: the model to start from, float32 (P,), finite.
        classes: number of classes C of the model.
        rules: rounds, quorum, deadline.
        folder: the folder of the run's states and history; created if it does not exist.
        strategy: FedAvg by default.
        settings: what a resumed run must have in common with the run it continues (values that JSON has);
            the strategy with its options and the number of weights are added to it.
        adapted: bool (P,), the weights that the strategy's step changes. The others, such as batch
            normalisation's running statistics, become the clinics' mean. All by default.
        resume: continue the run in ``folder``, or start it if it has no state yet.
        parts: the part of each weight, for the screening of updates; by ``adapted`` if not given.
        melanoma: index of that class, if the history shows each clinic's sensitivity for it.
        members: the clinics by the agreement, which gives their weights. Without, their weights are those
            that they claim: only for clinics that are this program itself.
        held: which clinics have which class, if the last layer's columns are averaged over those; ``None``:
            over all.
        after: what the clinics are asked for after the last round.
        defences: what protects the model from clinics, and clinics and patients from the server.
        coding: what of the weights travels, where not all do in full; ``None``: all do.
        on_round: called with the row of each finished round, once it is on disk.

    Raises:
        SettingsError: the folder has a run already, or its run has other settings.
        FederationError: the run's states cannot be read.
    """
    strategy = strategy or FedAvg()
    described = {
        **(settings or {}),
        **describe_strategy(strategy),
        "parameters": int(weights.size),
        **({"refit": asdict(after.refit)} if after.refit else {}),
        **({"bits": coding.bits} if coding and coding.bits else {}),
        **({"robust": defences.robust.to_dict()} if defences.robust.active else {}),
    }
    state = _open_run(weights, described, folder, resume)
    if parts is None:
        parts = parts_without_layout(np.ones(weights.size, bool) if adapted is None else adapted)
    screen = Screen(parts, rules.largest_step)
    summing = defences.summing
    federation = Federation(
        strategy,
        rules,
        classes,
        adapted,
        screen,
        folder,
        members=members,
        held=held,
        melanoma=melanoma,
        robust=defences.robust,
        sums=None if summing is None else SecureSums(summing, SumAttempts(folder), rules, defences.ledgers),
        steps=defences.steps,
        ledgers=defences.ledgers,
        scores=defences.scores,
        coding=coding,
    )
    app = ServerApp()

    def keep(state: RunState) -> None:
        save_state(folder, state)
        add_to_history(folder, state.history)
        if on_round is not None:
            on_round(state.history[-1])

    @app.main()
    def main(grid: Grid, context: Context) -> None:
        last = state
        for last in () if refitted(state) else run_rounds(grid, state, federation):
            keep(last)
        after.run(grid, last, federation, keep)

    return app


def _open_run(weights: FloatVector, settings: Settings, folder: Path, resume: bool) -> RunState:
    """The state to start from; a new run's start is saved too, so that every run can be resumed."""
    if has_state(folder):
        if not resume:
            raise SettingsError(
                "The folder has a run already", where=folder, remedy="Resume it, or choose another folder"
            )
        state = load_state(folder)
        check_same_settings(state.settings, settings, folder)
    else:
        make_folder(folder)
        state = RunState(0, np.asarray(weights, dtype=np.float32), {}, (), settings)
        save_state(folder, state)
    write_history(folder, state.history)
    return state
