"""Our federation by its commands, with nodes that train nothing."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from benchmarks.cost.relay import Cost, cost_of_rounds, relay
from benchmarks.cost.usage import peak_mb
from dermafed.client.node.home import make_home
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


def server_memory(folder: Path, clinics: int, rounds: int) -> float:
    """The highest resident memory of the server's process over a run with light nodes, in MB."""
    port, members = free_port(), names(clinics)
    with whole_run(folder) as run:
        keys = list(enrolled(run, port, members))
        run.start_server()
        ca = run.server / "trust" / "ca.pem"
        light = light_nodes(f"localhost:{port}", ca, keys)
        run.start("nodes", run.server_side / "nodes.log", *light)
        run.wait_until(lambda: all_connected(run), pause=1)
        run.start_run(PLAN.format(name="cost", rounds=rounds, clinics=clinics), ())
        last = run.finished_run()
        assert (last["status"], last["rounds_done"]) == ("finished", rounds), last
        return peak_mb(run.processes["server"].pid)


def light_nodes(address: str, ca: Path, keys: Iterable[str | Path], train_seconds: float = 0.0) -> list[str]:
    """The command of light nodes; see :mod:`benchmarks.cost.light_nodes`."""
    module = (sys.executable, "-m", "benchmarks.cost.light_nodes")
    return [*module, address, str(ca), str(train_seconds), *map(str, keys)]


def enrolled(run: WholeRun, port: int, members: Sequence[str]) -> Iterator[str]:
    """Enrols the clinics at the server; yields the path of each one's key."""
    run.set_up(port, {})
    for name in members:
        home = make_home(run.home(name), name, run.folder)
        run.coordinator("enrol", name, home.public_key, "--out", run.server_side / f"{name}.invitation")
        yield str(home.key)


def all_connected(run: WholeRun) -> bool:
    found = json.loads(run.coordinator("clinics", "--json"))
    return all(clinic["online"] for clinic in found["clinics"])


def history(run: WholeRun) -> Path:
    return run.server / "runs" / "0001-cost" / "history.csv"
