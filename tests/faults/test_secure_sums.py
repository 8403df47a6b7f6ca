"""Secure sums over real processes and TLS: four clinics, of which one is killed in the middle of a round."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from dermafed.client.node.audit import read_log
from dermafed.client.node.home import Home
from dermafed.server.rounds.checkpoint import load_state
from dermafed.shared.protocol.agreement import OFFER_QUERY, PREPARE_QUERY
from dermafed.shared.protocol.sum_messages import (
    SUM_KEYS,
    SUM_RELEASE,
    SUM_SHARES,
    SUM_SURVIVORS,
    SUMMED,
)
from tests.commands.small_datasets import needs_real_images
from tests.faults.federation import LONG, SERVER, Federation
from tests.faults.processes import wait_for

pytestmark = [pytest.mark.slow, needs_real_images]

CLINICS = ("graz", "linz", "vienna", "wels")
PLAN = """\
name = "sums"
rounds = 2
weights = "none"
threads = 1
privacy = { aggregation = "secure", colluders = 0 }
[model]
image_size = 32
frozen_blocks = 6
[preprocess]
denoise = "none"
clahe = false
[training]
epochs = 1
batch_size = 4
[rules]
approval = "30m"
wait = "30m"
"""
STEPS = (SUM_KEYS, SUM_SHARES, SUM_SURVIVORS, SUM_RELEASE)


@pytest.fixture
def federation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Federation]:
    made = Federation(tmp_path_factory.mktemp("sums"), clinics=CLINICS).make()
    yield made
    made.kill(*list(made.running))


@pytest.mark.parametrize("changes", ["", "[compression]\nbits = 8\n"], ids=["in full", "8 bits"])
def test_a_clinic_killed_in_the_middle_of_a_round_is_missed_and_nothing_leaves_in_clear(
    federation: Federation, changes: str
) -> None:
    federation.start_all()
    federation.approved(PLAN + changes)
    for clinic in CLINICS:  # whose limits approve no roster that nobody has seen
        assert federation.at(clinic, "plans").count("SHA256:") == len(CLINICS)
    wait_for(lambda: _has_sent(federation, "graz", SUM_SHARES, 2), LONG)
    federation.kill("graz")
    assert federation.ends("sums", seconds=LONG)["rounds_done"] == 2
    first, second = federation.history("sums")
    assert first["replied"] >= 3  # all, unless the machine is so busy that one seems to be gone
    assert [one["clinic"] for one in second["clinics"]] == list(CLINICS[1:])
    assert all(one["share"] is one["train_loss"] is None for one in second["clinics"])
    state = load_state(federation.run_folder("sums"))
    assert np.isfinite(state.weights).all()
    assert 0 <= second["validation_accuracy"] <= 1
    assert second["validation_loss"] is None  # no class has five validation images at a clinic
    assert sum(federation.run("sums")["class_counts"]) > 0
    assert "Traceback" not in federation.log(SERVER)
    kinds = {line.entry.kind for line in read_log(Home(federation.home("linz")).audit)}
    assert kinds == {OFFER_QUERY, PREPARE_QUERY, *STEPS, *SUMMED.values()}


def _has_sent(federation: Federation, clinic: str, kind: str, round: int) -> bool:
    lines = read_log(Home(federation.home(clinic)).audit)
    return any((line.entry.kind, line.entry.round) == (kind, str(round)) for line in lines)
