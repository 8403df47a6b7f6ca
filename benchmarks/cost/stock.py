"""Stock Flower by its commands: SuperLink, SuperNodes and ``flwr run``, a process per message."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

from benchmarks.cost.relay import Cost, cost_of_rounds, relay
from dermafed.shared.process import QUIET
from tests.journeys.whole_run import whole_run
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


def stock_rounds(folder: Path, clinics: int, rounds: int, shapes: list[tuple[int, ...]]) -> Cost:
    """The cost of a round of Flower's FedAvg, one array per layer, without TLS and without node keys."""
    port, marks = free_port(), folder / "marks"
    bin = Path(sys.executable).parent
    (folder / "home").mkdir(parents=True)
    (folder / "home" / "config.toml").write_text(CONFIG.format(port=port))
    (folder / "shapes.json").write_text(json.dumps(shapes))
    shutil.copytree(APP, folder / "app")
    # Its programs start each other by name.
    path = {"PATH": f"{bin}:{os.environ['PATH']}"}
    environment = {**QUIET, **path, "FLWR_HOME": str(folder / "home"), "PYTHONPATH": ""}
    with relay(port) as counter, whole_run(folder, environment=environment) as run:
        here, insecure = ("--host", "127.0.0.1", "--port"), "--insecure"
        offline = "--disable-runtime-dependency-installation"
        run.start(
            "link", folder / "link.log", str(bin / "flower-superlink"), insecure, offline, *here, str(port)
        )
        run.wait_until(lambda: answers(port))
        for number in range(clinics):
            node = (str(bin / "flower-supernode"), insecure, "--superlink", f"127.0.0.1:{counter.port}")
            run.start(f"node{number}", folder / f"node{number}.log", *node, *here, str(free_port()))
        values = {
            "clinics": clinics,
            "rounds": rounds,
            "shapes": str(folder / "shapes.json"),
            "marks": str(marks),
        }
        settings = " ".join(f"{name}={json.dumps(value)}" for name, value in values.items())
        run.call("flwr", "run", folder / "app", "here", "--run-config", settings)
        return cost_of_rounds(marks, rounds, counter, run.check)
