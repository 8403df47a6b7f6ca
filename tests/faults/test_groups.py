"""Secure sums over groups with a robust rule, over real processes and TLS: one clinic hostile, one killed.

Nine clinics are the fewest that the rule allows with one hostile one: three groups of three.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from dermafed.server.rounds.checkpoint import load_state
from dermafed.shared.protocol.sum_messages import SUM_SHARES
from tests.commands.small_datasets import draw_dataset
from tests.faults.federation import LONG, SERVER, Federation
from tests.faults.summing_worker import DIE, HOSTILE, does

pytestmark = pytest.mark.slow

CLINICS = ("bregenz", "eisenstadt", "graz", "innsbruck", "klagenfurt", "linz", "salzburg", "vienna", "wels")
PLAN = """\
name = "groups"
rounds = 1
weights = "none"
threads = 1
privacy = { aggregation = "secure", colluders = 0 }
[robust]
rule = "median"
hostile = 1
[model]
image_size = 32
[preprocess]
denoise = "none"
clahe = false
[training]
epochs = 1
batch_size = 4
[rules]
approval = "1h"
wait = "1h"
attempts = 3
"""
START = np.linspace(-1, 1, 12, dtype=np.float32)


@pytest.fixture
def federation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Federation]:
    made = Federation(tmp_path_factory.mktemp("groups"), clinics=CLINICS, draw=draw_dataset).make()
    yield made
    made.kill(*list(made.running))


def test_a_hostile_clinic_spoils_its_group_only_and_a_killed_one_an_attempt(federation: Federation) -> None:
    (federation.home("linz") / HOSTILE).touch()
    does(federation.home("vienna"), (DIE, "train", 1, 1, SUM_SHARES))
    federation.start_all("tests.faults.summing_worker")
    federation.approved(PLAN, weights=START, adapted=np.ones(START.size, bool), origin="none")
    federation.ends("groups", "finished", LONG)
    folder = federation.run_folder("groups")
    assert federation.log("vienna").count("the worker ended (signal 9) and is started again") == 1
    # The mean over all would be 0.9 to the other side.
    assert np.abs(load_state(folder).weights - START - 0.01).max() < 1e-5
    (row,) = federation.history("groups")
    assert row["replied"] == 9
    noted = {one["clinic"]: one["note"] for one in row["clinics"] if one["note"]}
    assert len(noted) == 3
    assert "linz" in noted
    assert all("of its group" in note for note in noted.values())
    assert "Traceback" not in federation.log(SERVER)
