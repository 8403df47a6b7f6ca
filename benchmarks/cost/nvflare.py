"""NVFlare's POC by its own scripts: a server and clinics in processes of their own, over mutual TLS.

It gives every participant a certificate, and messages are encrypted, as they come. FedAvg keeps the model on
the disk after each round. A clinic gets a round's model once, since NVFlare lets its script judge the model
that it is to train. The weights are one array, and its clinics do not load TensorFlow, nor a gate.
"""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import numpy as np
import yaml

from benchmarks.cost.relay import Cost, cost_of_rounds, relay
from benchmarks.federation import EFFICIENTNETB0
from benchmarks.process_tree import tree
from tests.journeys.whole_run import WholeRun, whole_run
from tests.ports import free_port
from tests.server.flower.test_supernode import answers

JOB = Path(__file__).parent / "nvflare_job"
PROJECT, SERVER, ADMIN, ORGANISATION = "cost", "server", "admin@nvidia.com", "nvidia"
BUILDERS = ("workspace.Workspace", "static_file.StaticFile", "cert.Cert", "signature.Signature")


def nvflare_rounds(python: Path, folder: Path, clinics: int, rounds: int) -> Cost:
    """The cost of a round of NVFlare's FedAvg.

    Args:
        python: of NVFlare's environment.
        folder: a new folder.
        clinics: number of clinics.
        rounds: number of rounds, with the first, which is not timed.
    """
    bin, port = python.parent, free_port()
    weights, marks, kits = folder / "weights.npy", folder / "marks", folder / "poc" / PROJECT / "prod_00"
    folder.mkdir(parents=True)
    np.save(weights, np.random.default_rng(0).normal(size=EFFICIENTNETB0).astype(np.float32))
    names = [f"clinic{number}" for number in range(clinics)]
    own = {"HOME": str(folder), "NVFLARE_POC_WORKSPACE": str(folder / "poc"), "PYTHONPATH": ""}
    path = {"PATH": f"{bin}:{os.environ['PATH']}"}  # its scripts start python3
    with relay(port) as counter, whole_run(folder, environment=own | path) as run:
        project = folder / "project.yml"
        project.write_text(yaml.safe_dump(_project(port, names, counter.port)), "utf-8")
        _call(run, str(bin / "nvflare"), "poc", "prepare", "-i", str(project))
        try:
            for name in (SERVER, *names):
                script = str(kits / name / "startup" / "sub_start.sh")
                run.start(name, folder / f"{name}.log", "bash", script, "--once")
                run.wait_until(lambda: answers(port))
            asked = (kits / ADMIN, weights, clinics, rounds, marks)
            _call(run, str(bin / "python"), str(JOB / "submit.py"), *map(str, asked))
            return cost_of_rounds(marks, rounds, counter, run.check)
        finally:
            _kill(run)


def _project(port: int, clinics: list[str], port_of_clinics: int) -> dict[str, object]:
    """NVFlare's project file: who takes part, and where the clinics reach the server."""
    server = {"name": SERVER, "type": "server", "default_host": "localhost", "fed_learn_port": port}
    admin = {"name": ADMIN, "type": "admin", "role": "project_admin"}
    reached = {"host": "localhost", "port": port_of_clinics}
    others = [{"name": name, "type": "client", "connect_to": reached} for name in clinics]
    templates = {"template_file": ["master_template.yml", "aws_template.yml", "azure_template.yml"]}
    return {
        "api_version": 3,
        "name": PROJECT,
        "participants": [one | {"org": ORGANISATION} for one in (server, admin, *others)],
        "builders": [
            {"path": f"nvflare.lighter.impl.{name}Builder", "args": args}
            for name, args in zip(BUILDERS, (templates, {"config_folder": "config"}, {}, {}), strict=True)
        ],
    }


def _call(run: WholeRun, *command: str) -> None:
    done = subprocess.run(
        command,
        env={**os.environ, **run.environment},
        cwd=run.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def _kill(run: WholeRun) -> None:
    """End NVFlare's processes with those that they have started for the job, which would outlive them."""
    for process in [one for each in run.processes.values() for one in tree(each.pid)]:
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
