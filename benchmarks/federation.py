"""The cost of the federation itself: many small clinics, and few with a model of EfficientNetB0's size.

    python -m benchmarks.federation [--clinics 1000] [--rounds 3] [--json]

Each case runs in a process of its own, so that its peak memory is its own.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.cost.idle_trainer import IMAGES, IdleTrainer
from dermafed.client.node.client_app import build_client_app
from dermafed.server.rounds.aggregate import StreamingMean
from dermafed.server.rounds.checkpoint import RunState, load_state, save_state
from dermafed.server.rounds.round_rules import RoundRules
from dermafed.server.rounds.screening import Screen
from dermafed.server.rounds.server_app import build_server_app
from dermafed.server.rounds.strategies import make_strategy
from dermafed.shared.protocol.messages import (
    decode_instruction,
    decode_update,
    encode_instruction,
    encode_update,
)
from dermafed.shared.training.trainer import FloatVector, Update
from dermafed.simulation.engines.local import run_local

EFFICIENTNETB0 = 4_053_414  # weights of the classifier with three classes, running statistics included
TINY = 700


def run_case(clinics: int, parameters: int, rounds: int) -> dict[str, Any]:
    """Seconds of a round (mean, without the first) and the peak memory of a run with idle clinics."""
    weights = np.random.default_rng(0).normal(size=parameters).astype(np.float32)
    trainer = IdleTrainer()
    marks: list[tuple[float, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        app = build_server_app(
            weights,
            3,
            RoundRules(rounds + 1, clinics),
            Path(folder),
            on_round=lambda row: marks.append((time.perf_counter(), time.process_time())),
        )
        run_local(app, build_client_app(lambda context: trainer), clinics)
        assert load_state(Path(folder)).history[-1].replied == clinics
    return {
        "clinics": clinics,
        "weights": parameters,
        "seconds_per_round": (marks[-1][0] - marks[0][0]) / rounds,
        "cpu_seconds_per_round": (marks[-1][1] - marks[0][1]) / rounds,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def parts_of_a_round(clinics: int, parameters: int) -> dict[str, float]:
    """Seconds of each part of a round, for all clinics together; the best of three."""
    start = np.random.default_rng(0).normal(size=parameters).astype(np.float32)
    return {name: min(times) for name, times in _repeat(3, clinics, start).items()}


def _repeat(times: int, clinics: int, start: FloatVector) -> dict[str, list[float]]:
    laps: dict[str, list[float]] = {}
    for _ in range(times):
        for name, seconds in _one_round(clinics, start).items():
            laps.setdefault(name, []).append(seconds)
    return laps


def _one_round(clinics: int, start: FloatVector) -> dict[str, float]:
    """The same calls as in a run, one part after another for one clinic, times the clinics."""
    clock, laps = [time.perf_counter()], {}

    def lap(name: str, times: int = 1) -> None:
        now = time.perf_counter()
        laps[name] = (now - clock[0]) * times
        clock[0] = time.perf_counter()

    content = encode_instruction(start, 1, {})
    lap("server encodes the model (train, evaluate)", 2)
    instruction = decode_instruction(content)
    lap("clinics decode it (train, evaluate)", 2 * clinics)
    reply = encode_update(Update(instruction.weights, IMAGES, {"loss": 1.0}), 0.0)
    lap("clinics encode their updates", clinics)
    update, _ = decode_update(reply, start.size)
    lap("server decodes them", clinics)
    Screen(np.zeros(start.size, np.uint8)).check(update.weights)
    lap("server checks them", clinics)
    mean = StreamingMean(start.size)
    clock[0] = time.perf_counter()
    for _ in range(clinics):
        mean.add(update.weights, update.weight)
    lap("streaming mean")
    moved, memory = make_strategy("fedavg").step(start, mean.result(), {}, 1)
    weights = moved.astype(np.float32)
    lap("strategy's step")
    with tempfile.TemporaryDirectory() as folder:
        save_state(Path(folder), RunState(1, weights, memory, (), {}))
        lap("checkpoint")
    return laps


def in_own_process(function: Any, *arguments: Any) -> Any:
    """The function's result from a fresh process."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


def main() -> None:
    """Run both cases and print them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--clinics", type=int, default=1000, help="number of clinics of the first case")
    parser.add_argument("--rounds", type=int, default=3, help="number of timed rounds")
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    options = parser.parse_args()
    cases = [
        in_own_process(run_case, options.clinics, TINY, options.rounds),
        in_own_process(run_case, 4, EFFICIENTNETB0, options.rounds),
    ]
    parts = in_own_process(parts_of_a_round, 4, EFFICIENTNETB0)
    if options.json:
        print(json.dumps({"cases": cases, "parts": parts}))
    else:
        _print_tables(cases, parts)


def _print_tables(cases: list[dict[str, Any]], parts: dict[str, float]) -> None:
    console = Console()
    table = Table(
        "clinics", "weights", "seconds a round", "of CPU", "peak MB", title="Engine local, idle clinics"
    )
    for case in cases:
        table.add_row(
            f"{case['clinics']:,}",
            f"{case['weights']:,}",
            f"{case['seconds_per_round']:.2f}",
            f"{case['cpu_seconds_per_round']:.2f}",
            f"{case['peak_mb']:.0f}",
        )
    console.print(table)
    split = Table("part", "seconds", title=f"One round of 4 clinics and {EFFICIENTNETB0:,} weights")
    for name, seconds in parts.items():
        split.add_row(name, f"{seconds:.3f}")
    split.add_row("sum", f"{sum(parts.values()):.3f}")
    console.print(split)


if __name__ == "__main__":
    main()
