"""Seconds of a mask of a secure sum, ours and Flower's, and how many times faster ours is.

    python -m benchmarks.secure_masks [--weights 4060000] [--repeats 5] [--json]

A mask is a random number for each weight, added to the vector: what a clinic does for each peer, and the
server for each clinic and for each peer of one that dropped out. Flower's is that of its SecAgg+ workflow
(flwr.common.secure_aggregation). The times are this process's CPU time, the least of all repeats.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Annotated

import numpy as np
import typer
from flwr.common.secure_aggregation.ndarrays_arithmetic import parameters_addition, parameters_mod
from flwr.common.secure_aggregation.secaggplus_utils import pseudo_rand_gen
from rich.console import Console
from rich.table import Table

from dermafed.shared.secure_sum.masks import add_mask

KEY = bytes(range(32))
FLOWERS_MODULUS = 1 << 32  # the default of its workflow


def main(
    weights: Annotated[int, typer.Option(min=1, help="Length of the vector.")] = 4_060_000,
    repeats: Annotated[int, typer.Option(min=1, help="How often each is measured.")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    measured = {name: least_seconds(mask(weights), repeats) for name, mask in MASKS.items()}
    ratio = measured["Flower"] / measured["ours"]
    if as_json:
        print(json.dumps({"weights": weights, "seconds": measured, "ratio": ratio}, indent=2))
    else:
        Console().print(table(measured, weights, ratio))


def ours(weights: int) -> Callable[[], object]:
    vector = np.zeros(weights, np.uint32)
    return lambda: add_mask(vector, KEY)


def flowers(weights: int) -> Callable[[], object]:
    vector = [np.zeros(weights, np.int64)]

    def add() -> object:
        mask = pseudo_rand_gen(KEY, FLOWERS_MODULUS, [(weights,)])
        return parameters_mod(parameters_addition(vector, mask), FLOWERS_MODULUS)

    return add


MASKS: dict[str, Callable[[int], Callable[[], object]]] = {"ours": ours, "Flower": flowers}


def least_seconds(work: Callable[[], object], repeats: int) -> float:
    work()  # load, touch the memory
    found = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        found.append(time.process_time() - start)
    return min(found)


def table(measured: dict[str, float], weights: int, ratio: float) -> Table:
    shown = Table("", "ms a mask", title=f"Masks of {weights:,} weights: ours {ratio:.1f} times faster")
    for name, seconds in measured.items():
        shown.add_row(name, f"{1000 * seconds:.1f}")
    return shown


if __name__ == "__main__":
    typer.run(main)
