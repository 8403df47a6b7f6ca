"""Over rounds: keeping the state and the history after each round of a run, of 100 clinics and 700 weights.

The size is the number of rounds of a whole run; its cost is that of all of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp

import numpy as np

from benchmarks.federation import TINY
from benchmarks.growth.cost import Cost, cost
from dermafed.server.rounds.checkpoint import RunState, save_state
from dermafed.server.rounds.clinic_round import ClinicRound
from dermafed.server.rounds.history import HistoryRow, add_to_history, write_history

VARIABLE = "rounds"
SIZES = (5, 10, 20, 40, 80, 160, 320)
LARGER = 5
CLINICS = 100


def costs(rounds: int) -> Iterator[tuple[str, Cost]]:
    """The cost of keeping so many rounds."""
    with TemporaryDirectory() as name:
        yield (
            "keep every round",
            cost(lambda folder: _keep(folder, rounds), lambda: Path(mkdtemp(dir=name))),
        )


def _keep(folder: Path, rounds: int) -> None:
    state = RunState(0, np.zeros(TINY, np.float32), {}, (), {})
    write_history(folder, ())
    for number in range(1, rounds + 1):
        state = replace(state, round=number, history=(*state.history, row(number)))
        save_state(folder, state)
        add_to_history(folder, state.history)


def row(number: int) -> HistoryRow:
    """A round in which all clinics took part."""
    score = 1 - 1 / (number + 1)
    parts = (
        ClinicRound(f"clinic{one:03d}", 0.01, 1.5, 1.0, 0.3, 0.7, score, "", 64) for one in range(CLINICS)
    )
    return HistoryRow(number, 0.7, 0.8, score, score, score, CLINICS, "", 12.5, 0.5, tuple(parts))
