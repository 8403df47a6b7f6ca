"""A clinic that is registered and lies: nothing of it enters the model, and each lie is told by name."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from server.checkpoint import load_state
from tests.faults.federation import Federation
from tests.faults.processes import wait_for

pytestmark = pytest.mark.slow

NODE = (
    "-c",
    "import sys; from pathlib import Path; from client.home import open_home; "
    "from client.node.supervisor import run_node; "
    "run_node(open_home(Path(sys.argv[1])), lambda line: print(line, flush=True), "
    "('-m', 'tests.faults.lying_worker'))",
)


@pytest.fixture
def with_a_liar(federation: Federation) -> Iterator[Federation]:
    """Linz's node runs code of its own; the key, the server and graz are real."""
    federation.end("linz")
    federation.start("linz", *NODE, federation.home("linz"))
    wait_for(lambda: federation.connected("graz", "linz"))
    yield federation
    federation.end("linz")


def test_each_lie_is_refused_by_name_and_the_run_finishes(with_a_liar: Federation) -> None:
    federation = with_a_liar
    federation.train("lies", rounds=4, quorum=1, deadline="100s")
    federation.ends("lies")
    history = federation.history("lies")
    assert [row["replied"] for row in history] == [1, 1, 1, 1]
    told = [row["left_out"] for row in history]
    assert told[0] == "linz: its weights are not all finite numbers"
    assert told[1].startswith("linz: ")
    assert "shape" in told[1]
    assert told[2] == "linz: it says its training weighs 1000000000 images, not 1 to 1000000"
    assert told[3] == "linz: no reply within 100 seconds"
    assert np.isfinite(load_state(federation.run_folder("lies")).weights).all()
