"""The network is cut, or a clinic is off, for seconds and for minutes.

Ten minutes take the ways that ninety seconds take: what a server and a node do of themselves, they do within
sixty. ``DERMAFED_OUTAGE=600`` makes them ten.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import pytest

from tests.faults.federation import SERVER, Federation, edit
from tests.faults.processes import wait_for
from tests.faults.proxy import Way, way_to

pytestmark = pytest.mark.slow

OUTAGE = float(os.environ.get("DERMAFED_OUTAGE", "90"))


@pytest.fixture
def way(federation: Federation) -> Iterator[Way]:
    """Linz's way to the server, in the hands of the test."""
    with way_to(federation.port) as way:
        direct, led = f"localhost:{federation.port}", f"localhost:{way.port}"
        federation.end("linz")
        edit(federation.home("linz") / "server.json", direct, led)
        federation.start_clinic("linz")
        wait_for(lambda: federation.connected("linz"))
        try:
            yield way
        finally:
            way.restore()
            federation.end("linz")
            edit(federation.home("linz") / "server.json", led, direct)


def test_a_cut_of_half_a_minute_in_mid_round_loses_no_round(federation: Federation, way: Way) -> None:
    federation.train("short-cut")
    federation.in_round("short-cut", 2, "linz")
    way.cut()
    time.sleep(30)
    way.restore()
    federation.ends("short-cut")
    assert [row["replied"] for row in federation.history("short-cut")] == [2, 2, 2]
    wait_for(lambda: federation.connected("linz"))


def test_a_long_cut_is_reported_on_both_sides_and_ends_by_itself(federation: Federation, way: Way) -> None:
    federation.train("long-cut", rounds=1000, quorum=1)
    federation.in_round("long-cut", 2, "linz")
    way.cut()
    begun = time.monotonic()
    cause = wait_for(lambda: federation.cause_at("linz"))
    assert "does not answer. Ask whether the server runs" in cause
    wait_for(lambda: "linz: " in federation.history("long-cut")[-1]["left_out"])
    wait_for(lambda: not federation.online("linz"))
    time.sleep(max(0.0, begun + OUTAGE - time.monotonic()))
    way.restore()
    takes_part_again(federation, "long-cut")
    assert federation.cause_at("linz") == ""


def test_a_clinic_that_was_off_for_long_takes_part_again(federation: Federation) -> None:
    federation.train("off", rounds=1000, quorum=1)
    federation.in_round("off", 2, "linz")
    federation.end("linz")
    assert federation.status_at("linz")["node"] == "is not running"
    wait_for(lambda: "linz: " in federation.history("off")[-1]["left_out"])
    time.sleep(OUTAGE)
    rounds = federation.run("off")["rounds_done"]
    federation.start_clinic("linz")
    takes_part_again(federation, "off")
    assert "Round 2, train: left out linz: " in federation.log(SERVER)
    assert [row["replied"] for row in federation.history("off")[2:rounds]] == [1] * (rounds - 2)


def takes_part_again(federation: Federation, name: str) -> None:
    """All clinics reply in a round; then the run is stopped, and could go on."""
    rounds = federation.run(name)["rounds_done"]
    wait_for(lambda: any(row["replied"] == 2 for row in federation.history(name)[rounds + 1 :]))
    federation.coordinator("stop", name)
    federation.ends(name, "stopped")
