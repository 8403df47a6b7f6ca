"""The cost of a federation besides training, compared with stock Flower, and the server's memory.

    python -m benchmarks.federation_cost [--clinics 3] [--rounds 4] [--many 20] [--json]

Both sides move EfficientNetB0's weights (4 million) to each clinic twice a round, to train and to evaluate,
and back once; no clinic trains. All of it runs on this machine, nodes and server in processes of their own,
and their messages pass a relay that counts the bytes. The first round of each is not timed.

ours    ``fl-server`` and real nodes over TLS with node keys, gate and audit log; only the trainer is
        replaced.
stock   ``flower-superlink``, ``flower-supernode`` and ``flwr run`` with Flower's FedAvg, one array per layer,
        and its default of a process per message. To its advantage: no TLS, no node keys, nothing on disk, and
        its clients do not load TensorFlow, which a real client would do in each of those processes.

The memory is the highest resident set of ``fl-server start`` in a run with light nodes (threads of one
process that speak a SuperNode's protocol), which all send at the same time.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.cost.ours import our_rounds, server_memory
from benchmarks.cost.relay import Cost
from benchmarks.cost.stock import stock_rounds
from benchmarks.federation import in_own_process

FEW = 3
MEMORY_ROUNDS = 2


def shapes_of_weights() -> list[tuple[int, ...]]:
    """Shapes of the weights of EfficientNetB0 with three classes, an array for each."""
    from dermafed.shared.lesions.record import PAPER_CLASSES
    from dermafed.shared.model.classifier import build_classifier
    from dermafed.shared.model.model_settings import ModelSettings

    classifier = build_classifier(ModelSettings(PAPER_CLASSES, image_size=64))
    return [tuple(weight.shape) for weight in classifier.weights]


def compare(folder: Path, clinics: int, rounds: int) -> list[dict[str, Any]]:
    """A row for each side, per round and clinic."""
    shapes = in_own_process(shapes_of_weights)
    costs = {
        "ours": our_rounds(folder / "ours", clinics, rounds),
        "stock": stock_rounds(folder / "stock", clinics, rounds, shapes),
    }
    return [row(side, cost, clinics) for side, cost in costs.items()]


def row(side: str, cost: Cost, clinics: int) -> dict[str, Any]:
    return {
        "side": side,
        "clinics": clinics,
        "seconds_per_round": cost.seconds,
        "seconds_per_round_and_clinic": cost.seconds / clinics,
        "mb_per_round_and_clinic": cost.bytes / clinics / 1e6,
    }


def memory(folder: Path, clinics: int) -> dict[str, Any]:
    return {"clinics": clinics, "peak_mb": server_memory(folder / f"memory{clinics}", clinics, MEMORY_ROUNDS)}


def measure(clinics: int, rounds: int, many: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sides = compare(folder, clinics, rounds)
        peaks = [memory(folder, number) for number in (FEW, many)]
    return {
        "cost": sides,
        "stock_over_ours": sides[1]["seconds_per_round"] / sides[0]["seconds_per_round"],
        "memory": peaks,
        "many_over_few": peaks[1]["peak_mb"] / peaks[0]["peak_mb"],
    }


def show(found: dict[str, Any]) -> None:
    console = Console()
    for title, ratio in (("cost", "stock_over_ours"), ("memory", "many_over_few")):
        table = Table(*found[title][0], title=title, caption=f"{ratio.replace('_', ' ')}: {found[ratio]:.2f}")
        for values in found[title]:
            cells = (f"{value:.2f}" if isinstance(value, float) else str(value) for value in values.values())
            table.add_row(*cells)
        console.print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--clinics", type=int, default=FEW, help="number of clinics of the comparison")
    parser.add_argument(
        "--rounds",
        type=int,
        default=4,
        help="number of rounds, with the first, which is not timed",
    )
    parser.add_argument("--many", type=int, default=20, help="clinics of the second measurement of memory")
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    given = parser.parse_args()
    found = measure(given.clinics, given.rounds, given.many)
    if given.json:
        print(json.dumps(found))
    else:
        show(found)


if __name__ == "__main__":
    main()
