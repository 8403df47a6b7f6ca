"""``fl-simulate`` without arguments, with an empty cache: seconds, the first curve, what it reaches."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from time import perf_counter

from benchmarks.comparisons import Place
from benchmarks.measuring import Figures, Goal, Way, installed
from tests.commands.test_help import script

SECONDS, FIRST, REACHED = "seconds", "seconds to the first round on screen", "federated balanced accuracy"
OURS = "fl-simulate"
GOALS = (
    Goal(SECONDS, OURS, limit=90),
    Goal(FIRST, OURS, limit=20),
    Goal(REACHED, OURS, limit=0.9, more=True),
)
SLOW = True


@contextmanager
def ways(place: Place) -> Iterator[Mapping[str, Way]]:
    """A run with a cache of its own for each turn; the bytecode of its modules is there."""
    turns = count()
    load = "from dermafed.simulation.runs.arms import load_training; load_training()"
    subprocess.run([sys.executable, "-c", load], check=True, env=installed())

    def run() -> Figures:
        folder = place.folder / f"run{next(turns)}"
        command = [script("fl-simulate"), "--json", "--out", str(folder / "out")]
        environment = {**installed(), "DERMAFED_CACHE": str(folder / "cache")}
        folder.mkdir()
        start, first = perf_counter(), float("nan")
        with (
            (folder / "result.json").open("w") as result,
            subprocess.Popen(
                command, env=environment, stdout=result, stderr=subprocess.PIPE, text=True
            ) as process,
        ):
            assert process.stderr
            for line in process.stderr:
                if "balanced accuracy" in line and first != first:
                    first = perf_counter() - start
        took = perf_counter() - start
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, command)
        found = json.loads((folder / "result.json").read_text("utf-8"))
        return {SECONDS: took, FIRST: first, REACHED: found["federated"]["balanced_accuracy"]}

    yield {OURS: run}
