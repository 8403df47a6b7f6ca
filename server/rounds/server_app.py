"""The server's Flower app: the rounds of a run, with its checkpoints and history in one folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np
from flwr.app import Context
from flwr.serverapp import Grid, ServerApp
from numpy.typing import NDArray

from dermafed.server.rounds.checkpoint import (
    RunState,
    Settings,
    check_same_settings,
    has_state,
    load_state,
    save_state,
)
from dermafed.server.rounds.held_classes import HeldClasses
from dermafed.server.rounds.history import HistoryRow, write_history
from dermafed.server.rounds.ledger_heads import LedgerHeads
from dermafed.server.rounds.refit_round import Refitting, refit_round, refitted
from dermafed.server.rounds.round_rules import RoundRules
from dermafed.server.rounds.rounds import Federation, run_rounds
from dermafed.server.rounds.run_calibration import calibrate_with_clinics
from dermafed.server.rounds.run_explanations import measure_explanations
from dermafed.server.rounds.run_finder import find_with_clinics
from dermafed.server.rounds.screening import Screen
from dermafed.server.rounds.shares import Member
from dermafed.server.rounds.strategies import FedAvg, Strategy, describe_strategy
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
    explain: bool = False,
    calibrate: tuple[str, ...] | None = None,
    members: Mapping[str, Member] | None = None,
    held: HeldClasses | None = None,
    parts: Parts | None = None,
    refit: Refitting | None = None,
    lesion_finder: bool = False,
    ledgers: LedgerHeads | None = None,
    scores: bool = True,
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
        explain: whether the clinics measure explanations of the last model; the metrics are in
            ``explanations.json``.
        calibrate: the names of the classes if the clinics calibrate the last model together; the result is in
            ``calibration.json``.
        members: the clinics by the agreement, which gives their weights. Without, their weights are those
            that they claim: only for clinics that are this program itself.
        held: which clinics have which class, if the last layer's columns are averaged over those; ``None``:
            over all.
        parts: the part of each weight, for the screening of updates; by ``adapted`` if not given.
        refit: how the last layer is trained anew after the last round; ``None``: it is not.
        lesion_finder: whether the clinics fit a lesion finder to the last model; it is in
            ``lesion-finder.json``.
        ledgers: what was seen of the clinics' ledgers, in a run with differential privacy; ``None``: the
            clinics are simulated, and have none.
        scores: whether evaluations have histograms and a loss, as without differential privacy.
        on_round: called with the row of each finished round, once it is on disk.

    Raises:
        SettingsError: the folder has a run already, or its run has other settings.
        FederationError: the run's states cannot be read.
    """
    described = {
        **(settings or {}),
        **describe_strategy(strategy or FedAvg()),
        "parameters": int(weights.size),
        **({"refit": asdict(refit)} if refit else {}),
    }
    state = _open_run(weights, described, folder, resume)
    if parts is None:
        parts = parts_without_layout(np.ones(weights.size, bool) if adapted is None else adapted)
    screen = Screen(parts, rules.largest_step)
    by_clinic = (members, held, ledgers, scores)
    federation = Federation(strategy or FedAvg(), rules, classes, adapted, screen, folder, *by_clinic)
    app = ServerApp()

    @app.main()
    def main(grid: Grid, context: Context) -> None:
        last = state
        for last in _rounds(grid, state, federation, refit):
            save_state(folder, last)
            write_history(folder, last.history)
            if on_round is not None:
                on_round(last.history[-1])
        if explain:
            measure_explanations(grid, last.weights, last.round, rules).save(folder)
        if calibrate is not None:
            calibrate_with_clinics(grid, last.weights, last.round, rules, calibrate, members).save(folder)
        if lesion_finder:  # after the calibration, by which the clinics save the model that it belongs to
            find_with_clinics(grid, last.weights, last.round, rules, members).save(folder)

    return app


def _rounds(
    grid: Grid, state: RunState, federation: Federation, refit: Refitting | None
) -> Iterator[RunState]:
    """The state after each of the remaining rounds, the last of which may train the last layer anew."""
    if refitted(state):
        return
    last = state
    for last in run_rounds(grid, state, federation):
        yield last
    if refit is not None:
        yield refit_round(grid, last, federation, refit)


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
