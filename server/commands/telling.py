"""How a run is shown: as values, and line by line while it goes on."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Any

from dermafed.console import stderr
from dermafed.server.record.database import Record
from dermafed.server.record.rounds import list_rounds
from dermafed.server.record.runs import RESTING, Run, Status, find_run
from dermafed.shared.errors import FederationError

_POLL_SECONDS = 1.0


def run_values(run: Run) -> dict[str, Any]:
    """A run as JSON types, without the texts of its plan and offer."""
    texts = ("plan", "offer", "plan_path")
    return {name: value for name, value in asdict(run).items() if name not in texts}


def follow_run(record: Record, name: str) -> None:
    """Tell each round of a run as it ends, until the run does.

    Raises:
        FederationError: the run ended otherwise than by its last round.
    """
    console, told, before = stderr(), -1, ""
    while True:
        run = find_run(record, name)
        if run.status != before:
            console.print(f"{run.name}: {run.status}", soft_wrap=True, markup=False)
            before = run.status
        for row in list_rounds(record, run.number):
            if row["round"] > told:
                console.print(round_line(row, run.rounds), soft_wrap=True, markup=False)
                told = row["round"]
        if run.status is Status.FINISHED:
            return
        if run.status in RESTING:
            raise FederationError(
                f"The run is {run.status}", where=run.why, remedy=f"To go on: fl-server resume {run.number}"
            )
        time.sleep(_POLL_SECONDS)


def round_line(row: dict[str, Any], rounds: int) -> str:
    """A round's figures in one line."""
    score, loss = row["validation_balanced_accuracy"], row["validation_loss"]
    figures = f"balanced accuracy {_figure(score)}, loss {_figure(loss)}"
    clinics = f"{row['replied']} clinics" + (f"; left out: {row['left_out']}" if row["left_out"] else "")
    return f"Round {row['round']} of {rounds}: {figures}, {row['seconds']:.0f} s, {clinics}"


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
