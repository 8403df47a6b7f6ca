"""Noise within secure sums over real processes and TLS: three clinics, whose workers are killed at a step."""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np
import pytest

from dermafed.client.node.audit import read_log
from dermafed.client.node.home import Home
from dermafed.client.node.ledger import Ledger, spent_epsilon
from dermafed.server.rounds.checkpoint import load_state
from dermafed.shared.protocol.agreement import OFFER_QUERY, PREPARE_QUERY
from dermafed.shared.protocol.sum_messages import (
    SUM_KEYS,
    SUM_RELEASE,
    SUM_SHARES,
    SUM_SURVIVORS,
    SUMMED,
)
from tests.commands.small_datasets import draw_dataset
from tests.faults.federation import LONG, SERVER, Federation, edit
from tests.faults.processes import wait_for
from tests.faults.summing_worker import DIE, does
from tests.shared.training.tiny import start, tiny, tiny_backbones

pytestmark = pytest.mark.slow

CLINICS = ("graz", "linz", "vienna")
TRAIN = SUMMED["train"]
WORKER = "tests.faults.private_worker"
EPSILON, DELTA = 4.0, 1e-4
PLAN = """\
name = "private"
rounds = 2
threads = 1
[privacy]
aggregation = "secure"
colluders = 0
dp = { epsilon = 4, delta = 1e-4, rate = 0.5, place = "sum" }
[model]
backbone = "EfficientNetB7"
frozen_blocks = 0
features = "pooled"
image_size = 32
[preprocess]
denoise = "none"
clahe = false
[rules]
approval = "1h"
wait = "1h"
attempts = 2
"""
LAYER = (8 + 1) * 3


@pytest.fixture
def federation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Federation]:
    made = Federation(
        tmp_path_factory.mktemp("private"),
        clinics=CLINICS,
        draw=lambda folder, clinics: draw_dataset(folder, clinics, lesions=20),
    ).make()
    for clinic in CLINICS:  # the limits refuse the learning rate of such a step; a person approves it
        edit(made.home(clinic) / "clinic.toml", 'policy = "limits"', 'policy = "ask"')
    yield made
    made.kill(*list(made.running))


def charges(federation: Federation, clinic: str) -> list[tuple[str, int]]:
    entries = Ledger(Home(federation.home(clinic)).ledger).entries()
    return [(one.charge.what, one.charge.round) for one in entries]


def test_a_step_is_debited_before_it_leaves_and_kills_gain_no_epsilon(federation: Federation) -> None:
    """Three clinics are the fewest that a sum has: whoever is killed ends the attempt."""
    with tiny_backbones():
        weights = start(tiny(batch_norm="frozen"))
    does(federation.home("linz"), (DIE, "train", 1, 1, SUM_SHARES))
    does(federation.home("vienna"), (DIE, "train", 2, 1, TRAIN))
    federation.start_all(WORKER)
    federation.approved(PLAN, weights=weights, adapted=np.ones(weights.size, bool), origin="none", features=8)

    why = federation.ends("private", "paused", LONG)["why"]
    assert "1 clinics sent their masked vectors, of the 3 that a secure sum needs" in why
    assert "graz: not approved there (BudgetSpent)" in why
    assert "linz: not approved there (BudgetSpent)" in why
    assert "Connect the clinics named here" in why
    # The first attempt at round 1 died before a step. At round 2 two had paid for theirs: it is spent.
    paid = [("counts", 0), ("training", 1), ("validation", 1), ("training", 2)]
    assert {clinic: charges(federation, clinic) for clinic in CLINICS} == dict.fromkeys(CLINICS, paid)
    for clinic in ("linz", "vienna"):
        assert federation.log(clinic).count("the worker ended (signal 9) and is started again") == 1

    federation.kill("graz", SERVER)  # as when the power goes
    federation.start_server()
    federation.start_clinic("graz", WORKER)
    wait_for(lambda: federation.connected(*CLINICS), LONG)
    federation.coordinator("resume", "private")
    assert federation.ends("private", "finished", LONG)["rounds_done"] == 2
    first, second = federation.history("private")
    assert (first["replied"], second["replied"]) == (3, 0)
    assert "all 3 attempts failed" in second["left_out"]
    assert 0 <= first["validation_balanced_accuracy"] <= 1
    for clinic in CLINICS:
        assert charges(federation, clinic) == paid  # a lost round has no evaluation
        spent = [entry.charge for entry in Ledger(Home(federation.home(clinic)).ledger).entries()]
        assert 0.99 * EPSILON < spent_epsilon(spent, DELTA) <= EPSILON * (1 + 1e-9)
    assert set(json.loads((federation.server / "ledgers.json").read_text())) == set(CLINICS)

    folder = federation.run_folder("private")
    one, two = (load_state(folder, number).weights for number in (1, 2))
    np.testing.assert_array_equal(one[:-LAYER], weights[:-LAYER])
    assert (one[-LAYER:] != weights[-LAYER:]).all()  # noise is everywhere
    np.testing.assert_array_equal(two, one)
    assert "Traceback" not in federation.log(SERVER)
    kinds = {line.entry.kind for line in read_log(Home(federation.home("graz")).audit)}
    sums = {SUM_KEYS, SUM_SHARES, SUM_SURVIVORS, SUM_RELEASE, *SUMMED.values()}
    assert {kind for kind in kinds if " error " not in kind} == {OFFER_QUERY, PREPARE_QUERY, *sums}
