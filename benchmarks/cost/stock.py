"""Stock Flower by its commands: SuperLink, SuperNodes and ``flwr run``, a process per message."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.cost.relay import Cost, cost_of_rounds, relay
from dermafed.shared.process import QUIET
from tests.journeys.whole_run import WholeRun, whole_run
from tests.ports import free_port
from tests.server.flower.test_supernode import answers

APP = Path(__file__).parent / "stock_app"
CONFIG = """
[superlink]
default = "here"
[superlink.here]
address = "127.0.0.1:{port}"
insecure = true
"""


@contextmanager
def start_stock(folder: Path, clinics: int, port: int = 0, port_of_nodes: int = 0) -> Iterator[WholeRun]:
    """A SuperLink and so many SuperNodes, without TLS and without node keys.

    Args:
        folder: a new folder.
        clinics: number of nodes.
        port: of the SuperLink; a free one by default.
        port_of_nodes: at which they reach it, as through a relay; by default its own.
    """
    port = port or free_port()
    bin = Path(sys.executable).parent
    (folder / "home").mkdir(parents=True)
    (folder / "home" / "config.toml").write_text(CONFIG.format(port=port))
    # Its programs start each other by name.
    path = {"PATH": f"{bin}:{os.environ['PATH']}"}
    environment = {**QUIET, **path, "FLWR_HOME": str(folder / "home"), "PYTHONPATH": ""}
    with whole_run(folder, environment=environment) as run:
        here, insecure = ("--host", "127.0.0.1", "--port"), "--insecure"
        offline = "--disable-runtime-dependency-installation"
        run.start(
            "link", folder / "link.log", str(bin / "flower-superlink"), insecure, offline, *here, str(port)
        )
        run.wait_until(lambda: answers(port))
        for number in range(clinics):
            link = f"127.0.0.1:{port_of_nodes or port}"
            node = (str(bin / "flower-supernode"), insecure, "--superlink", link)
            run.start(f"node{number}", folder / f"node{number}.log", *node, *here, str(free_port()))
        yield run


def stock_rounds(folder: Path, clinics: int, rounds: int, shapes: list[tuple[int, ...]]) -> Cost:
    """The cost of a round of Flower's FedAvg, one array per layer, without TLS and without node keys."""
    port, marks = free_port(), folder / "marks"
    with relay(port) as counter, start_stock(folder, clinics, port, counter.port) as run:
        (folder / "shapes.json").write_text(json.dumps(shapes))
        shutil.copytree(APP, folder / "app")
        values = {
            "clinics": clinics,
            "rounds": rounds,
            "shapes": str(folder / "shapes.json"),
            "marks": str(marks),
        }
        settings = " ".join(f"{name}={json.dumps(value)}" for name, value in values.items())
        run.call("flwr", "run", folder / "app", "here", "--run-config", settings)
        return cost_of_rounds(marks, rounds, counter, run.check)
