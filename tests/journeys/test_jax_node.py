"""A clinic on JAX and one on TensorFlow train in one run, by real nodes, and the server gets a model."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from benchmarks.process_tree import tree
from dermafed.server.rounds.checkpoint import load_state
from tests.commands.small_datasets import draw_dataset
from tests.commands.test_help import script
from tests.journeys.whole_run import WholeRun, whole_run
from tests.ports import free_port

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("jax") is None, reason="JAX is not installed"),
]

BACKENDS = {"north": "jax", "south": "tensorflow"}
LIBRARIES = {"jax": "libjax_common", "tensorflow": "libtensorflow_framework"}
PLAN = """
name = "both"
rounds = 1
weights = "none"
threads = 1
[model]
image_size = 32
[preprocess]
denoise = "none"
[rules]
quorum = 2
deadline = "1h"
approval = "1h"
wait = "1h"
"""


def libraries(process: int) -> set[str]:
    """The backends whose compiled libraries a process, or one that it has started, has loaded."""
    maps = "".join(Path(f"/proc/{one}/maps").read_text() for one in tree(process))
    return {name for name, library in LIBRARIES.items() if library in maps}


def on_backend(backend: str, *arguments: object) -> list[str]:
    """The command line of fl-client on a backend."""
    return ["env", f"KERAS_BACKEND={backend}", sys.executable, script("fl-client"), *map(str, arguments)]


def start_node(run: WholeRun, clinic: str) -> None:
    command = on_backend(BACKENDS[clinic], "start", "--dir", run.home(clinic))
    run.start(clinic, run.home(clinic).parent / "node.log", *command)


def diagnosis(run: WholeRun, model: Path, image: Path, backend: str) -> dict[str, float]:
    """The probabilities that ``fl-client diagnose`` gives an image."""
    command = on_backend(backend, "diagnose", image, "--model", model, "--json")
    printed = subprocess.run(command, cwd=run.folder, capture_output=True, text=True, check=True).stdout
    found: dict[str, float] = json.loads(printed)["probabilities"]
    return found


def test_clinics_on_two_backends_train_one_model(tmp_path: Path) -> None:
    data = draw_dataset(tmp_path / "data", ("all",))
    with whole_run(tmp_path / "run") as run:
        run.set_up(free_port(), dict.fromkeys(BACKENDS, data))
        run.start_server()
        for clinic in BACKENDS:
            start_node(run, clinic)
        run.start_run(PLAN, list(BACKENDS))
        last = run.finished_run()
        assert (last["status"], last["rounds_done"]) == ("finished", 1), last
        # Keras on TensorFlow loads JAX too, where it is installed, but not the other way round.
        assert "tensorflow" in libraries(run.processes["south"].pid)
        assert libraries(run.processes["north"].pid) == {"jax"}
        state = load_state(run.server / "runs" / "0001-both")
        assert [row.replied for row in state.history] == [2]
        assert np.isfinite(state.weights).all()
        model = run.server_side / "both.keras"
        run.coordinator("export", "both", "last", model)
    on = {backend: diagnosis(run, model, data / "images" / "image_000.png", backend) for backend in LIBRARIES}
    assert on["jax"] == pytest.approx(on["tensorflow"], abs=1e-3)
