"""SIGKILL in mid-round: of a clinic, its worker, the server, and of everything at once."""

from __future__ import annotations

import os
import signal

import numpy as np
import pytest

from dermafed.server.rounds.checkpoint import load_state
from dermafed.shared.training.trainer import FloatVector
from tests.faults.federation import CLINICS, SERVER, Federation
from tests.faults.processes import wait_for

pytestmark = pytest.mark.slow

_undisturbed: list[FloatVector] = []


def final_weights(federation: Federation, name: str) -> FloatVector:
    return load_state(federation.run_folder(name)).weights


def equals_undisturbed(federation: Federation, name: str) -> bool:
    """Whether a run of three rounds with all clinics ended with the model of one that nothing befell."""
    if not _undisturbed:
        federation.train("undisturbed")
        federation.ends("undisturbed")
        _undisturbed.append(final_weights(federation, "undisturbed"))
    return bool(np.abs(final_weights(federation, name) - _undisturbed[0]).max() <= 1e-6)


def test_a_killed_worker_is_replaced_and_its_round_loses_nobody(federation: Federation) -> None:
    federation.train("worker")
    federation.in_round("worker", 2, "graz")
    (worker,) = federation.numbers("graz", "dermafed.client.node.worker")
    os.kill(worker, signal.SIGKILL)
    federation.ends("worker")
    assert [row["left_out"] for row in federation.history("worker")] == ["", "", ""]
    assert "the worker ended (signal 9) and is started again" in federation.log("graz")
    assert federation.at("graz", "audit").endswith("the log is whole.\n")
    assert equals_undisturbed(federation, "worker")


def test_a_killed_clinic_is_left_out_by_name_and_comes_back(federation: Federation) -> None:
    federation.train("quorum", quorum=1)
    federation.in_round("quorum", 2, "graz")
    federation.kill("graz")
    assert federation.status_at("graz")["node"] == "is not running"
    assert federation.cause_at("graz").startswith("it was killed, or its machine went down. Start it again")
    federation.start_clinic("graz")
    federation.ends("quorum")
    first, second, _ = (row["left_out"] for row in federation.history("quorum"))
    assert first == ""
    assert second.startswith("graz: ")
    assert "linz" not in second
    wait_for(lambda: federation.connected("graz"))


def test_a_round_below_its_quorum_waits_for_a_clinic_that_returns(federation: Federation) -> None:
    federation.train("return")
    federation.in_round("return", 2, "graz")
    federation.kill("graz")
    federation.start_clinic("graz")
    federation.ends("return")
    assert [row["replied"] for row in federation.history("return")] == [2, 2, 2]
    assert "Round 2, train: left out graz: " in federation.log(SERVER)
    assert equals_undisturbed(federation, "return")


@pytest.mark.parametrize("killed", [(SERVER,), (SERVER, *CLINICS)], ids=["server", "everything"])
def test_a_run_goes_on_by_itself_from_its_last_round(federation: Federation, killed: tuple[str, ...]) -> None:
    name = f"power-{len(killed)}"
    federation.train(name)
    federation.in_round(name, 2, "graz")
    history = federation.history(name)
    federation.kill(*killed)
    assert federation.status()["server"] is False
    federation.start_server()
    for clinic in killed[1:]:
        federation.start_clinic(clinic)
    federation.ends(name)
    assert f"{name}: continues" in federation.log(SERVER)
    federation.has_saved(name, history)
    assert equals_undisturbed(federation, name)
