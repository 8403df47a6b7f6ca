"""A registered clinic that sends false replies: none enters the model, and each is reported by name."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from dermafed.server.rounds.checkpoint import load_state
from tests.faults.federation import Federation
from tests.faults.processes import wait_for

pytestmark = pytest.mark.slow


@pytest.fixture
def with_false_replies(federation: Federation) -> Iterator[Federation]:
    """Linz's node runs code of its own; the key, the server and graz are real."""
    federation.end("linz")
    federation.start_clinic("linz", "tests.faults.false_replies_worker")
    wait_for(lambda: federation.connected("graz", "linz"))
    yield federation
    federation.end("linz")


def test_each_false_reply_is_refused_by_name_and_the_run_finishes(with_false_replies: Federation) -> None:
    federation = with_false_replies
    federation.train("false", quorum=1)
    federation.ends("false")
    history = federation.history("false")
    assert [row["replied"] for row in history] == [1, 1, 1]
    first, second, third = (row["left_out"] for row in history)
    assert first == "linz: its weights are not all finite numbers"
    weights = load_state(federation.run_folder("false")).weights
    size = weights.size
    assert second == f"linz: the array 'weights' is float32 ({size - 1},), not float32 ({size},)"
    assert third == "linz: its update has the weight of 1000000000 images, not 1 to 1000000"
    assert np.isfinite(weights).all()
    answers_for_another_run(federation)


def answers_for_another_run(federation: Federation) -> None:
    """A reply with the id of an earlier run: its own SuperNode refuses it, and is restarted.

    ``tests/server/flower/test_fleet_api.py`` tests a SuperNode that sends false replies too.
    """
    (federation.home("linz") / "other_run").touch()
    federation.train("replay", rounds=1, quorum=1)
    federation.ends("replay")
    (row,) = federation.history("replay")
    assert (row["replied"], row["left_out"]) == (1, "linz: it is not connected")
