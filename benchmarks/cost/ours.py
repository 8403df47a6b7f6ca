"""Our federation by its commands, with nodes that train nothing."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path

from benchmarks.cost.relay import Cost, cost_of_rounds, relay
from tests.commands.small_datasets import draw_dataset
from tests.journeys.whole_run import WholeRun, whole_run
from tests.ports import free_port

PLAN = """
name = "{name}"
rounds = {rounds}
weights = "none"
threads = 1
calibrate = false
[model]
image_size = 64
[preprocess]
denoise = "none"
[rules]
quorum = {clinics}
"""


def names(clinics: int) -> list[str]:
    return [f"clinic{number:02d}" for number in range(clinics)]


def our_rounds(folder: Path, clinics: int, rounds: int) -> Cost:
    """The cost of a round with full nodes: supervisor, SuperNode, worker with gate and audit log."""
    behind, members = free_port(), names(clinics)
    data = draw_dataset(folder / "data", ("all",))
    with relay(behind) as counter, whole_run(folder) as run:
        run.set_up(counter.port, dict.fromkeys(members, data))
        run.listen_on(behind)
        run.start_server()
        for name in members:
            log, home = run.home(name).parent / "node.log", str(run.home(name))
            run.start(name, log, sys.executable, "-m", "benchmarks.cost.idle_node", home)
        run.start_run(PLAN.format(name="cost", rounds=rounds, clinics=clinics), members)
        return cost_of_rounds(history(run), rounds, counter, run.check)


def light_nodes(address: str, ca: Path, keys: Iterable[str | Path], train_seconds: float = 0.0) -> list[str]:
    """The command of light nodes; see :mod:`benchmarks.cost.light_nodes`."""
    module = (sys.executable, "-m", "benchmarks.cost.light_nodes")
    return [*module, address, str(ca), str(train_seconds), *map(str, keys)]


def all_connected(run: WholeRun) -> bool:
    found = json.loads(run.coordinator("clinics", "--json"))
    return all(clinic["online"] for clinic in found["clinics"])


def history(run: WholeRun) -> Path:
    return run.server / "runs" / "0001-cost" / "history.csv"
