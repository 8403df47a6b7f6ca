"""``fl-simulate`` with many clinics on two Ray nodes of this machine, beside the engine ``local``.

    python -m benchmarks.ray_run [--clinics 100] [--rounds 10] [--json | --publish]

Each clinic has nine drawn images; EfficientNetB0, the smallest backbone, trains its last layer on 32 pixels.
Both engines run as commands, one after the other. The driver is the process of ``fl-simulate`` that runs the
server; its memory is the highest resident set. A round's seconds are a mean without the first round.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.cost.usage import peak_mb
from benchmarks.process_tree import tree
from benchmarks.results import ROOT, save
from dermafed.server.rounds.checkpoint import load_state
from tests.commands.small_datasets import draw_dataset
from tests.commands.test_help import script

OPTIONS = ("--clinics", "clinic", "--weights", "none", "--image-size", "32", "--denoise", "none")
TRAINING = ("--frozen-blocks", "7", "--views", "1", "--epochs", "1", "--no-baselines")
NODE = {"num_cpus": 1, "object_store_memory": 500_000_000, "include_dashboard": False}


@contextmanager
def two_nodes() -> Iterator[str]:
    """The address of a cluster of two nodes with a core each."""
    from ray.cluster_utils import Cluster

    # A busy machine takes longer than Ray's minute to start a worker.
    patient = {"_system_config": {"worker_register_timeout_seconds": 900}}
    cluster = Cluster(initialize_head=True, head_node_args=NODE | patient)
    try:
        cluster.add_node(**NODE)
        cluster.wait_for_nodes()
        yield cluster.address
    finally:
        cluster.shutdown()


def run(data: Path, out: Path, rounds: int, *engine: str) -> dict[str, Any]:
    """Runs ``fl-simulate`` with an engine; how long it took, and the driver's memory."""
    given = (*OPTIONS, *TRAINING, "--rounds", str(rounds), "--data", str(data), "--out", str(out))
    command = [script("fl-simulate"), *given, "--engine", *engine]
    start, peaks = time.monotonic(), dict[int, float]()
    with (out.parent / f"{out.name}.log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            while process.poll() is None:
                for one in tree(process.pid):
                    with suppress(OSError, KeyError):  # one that has just ended
                        peaks[one] = peak_mb(one)
                time.sleep(1)
        finally:
            process.kill()  # its own processes end with it
    assert process.returncode == 0, (out.parent / f"{out.name}.log").read_text()
    with (arm(out) / "history.csv").open(newline="") as file:
        rows = [float(row["seconds"]) for row in csv.DictReader(file)]
    return {
        "engine": engine[0],
        "seconds": time.monotonic() - start,
        "seconds a round": sum(rows[1:]) / len(rows[1:]),
        "MB of the driver": max(peaks.values()),
    }


def arm(out: Path) -> Path:
    """The folder of a run's federation."""
    (history,) = out.glob("arms/federated/history.csv")
    return history.parent


def measure(folder: Path, clinics: int, rounds: int) -> dict[str, Any]:
    """Both runs, and the largest difference of their last weights."""
    data = draw_dataset(folder / "data", [f"clinic{number:03d}" for number in range(clinics)], lesions=3)
    with two_nodes() as address:
        runs = [run(data, folder / "ray", rounds, "ray", "--address", address)]
    runs.append(run(data, folder / "local", rounds, "local"))
    there, here = (load_state(arm(folder / name)) for name in ("ray", "local"))
    assert there.round == here.round == rounds
    assert all(row.replied == clinics for row in (*there.history, *here.history))
    apart = float(np.abs(there.weights - here.weights).max())
    return {"clinics": clinics, "rounds": rounds, "runs": runs, "largest difference": apart}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--clinics", type=int, default=100, help="number of clinics")
    parser.add_argument("--rounds", type=int, default=10, help="number of rounds, with the first")
    output = parser.add_mutually_exclusive_group()
    output.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    output.add_argument("--publish", action="store_true", help="save docs/results/ray_run.json")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder), given.clinics, given.rounds)
    if given.publish:
        runs = [{"clinics": given.clinics, "rounds": given.rounds, **one} for one in found["runs"]]
        difference = {"largest difference": found["largest difference"]}
        print(f"Saved: {save('ray_run', {'runs': runs, 'both': [difference]}).relative_to(ROOT)}")
        return
    if given.json:
        print(json.dumps(found))
        return
    for one in found.pop("runs"):
        print(", ".join(f"{name} {value:.4g}" if name != "engine" else value for name, value in one.items()))
    print(", ".join(f"{name} {value:.3g}" for name, value in found.items()))


if __name__ == "__main__":
    main()
