"""Each step of a secure sum over real processes and TLS: clinics whose worker is killed or way cut."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import numpy as np
import pytest

from dermafed.server.rounds.checkpoint import load_state
from dermafed.shared.protocol.sum_messages import (
    SUM_KEYS,
    SUM_RELEASE,
    SUM_SHARES,
    SUM_SURVIVORS,
    SUMMED,
)
from tests.commands.small_datasets import needs_real_images
from tests.faults.federation import LONG, SERVER, Federation, edit
from tests.faults.processes import wait_for
from tests.faults.proxy import way_to
from tests.faults.summing_worker import AT_STEP, DIE, WAIT, does

pytestmark = [pytest.mark.slow, needs_real_images]

CLINICS = ("graz", "linz", "salzburg", "vienna", "wels")
THREE = CLINICS[1:4]
TRAIN = SUMMED["train"]
STEPS = (SUM_KEYS, SUM_SHARES, TRAIN, SUM_SURVIVORS, SUM_RELEASE)
PLAN = """\
name = "{name}"
rounds = {rounds}
weights = "none"
threads = 1
privacy = {{ aggregation = "secure", colluders = 0 }}
[model]
image_size = 32
[preprocess]
denoise = "none"
clahe = false
[training]
epochs = 1
batch_size = 4
[rules]
approval = "30m"
wait = "30m"
deadline = "{deadline}"
attempts = 1
"""
START = np.linspace(-1, 1, 12, dtype=np.float32)


@pytest.fixture(scope="module")
def federation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Federation]:
    """Five clinics, of whom three open a sum; a person approves their roster once."""
    made = Federation(tmp_path_factory.mktemp("steps"), clinics=CLINICS).make()
    made.start_all("tests.faults.summing_worker")
    yield made
    made.kill(*list(made.running))


def train(federation: Federation, name: str, rounds: int, deadline: str = "20m") -> None:
    plan = PLAN.format(name=name, rounds=rounds, deadline=deadline)
    federation.approved(plan, weights=START, adapted=np.ones(START.size, bool), origin="none")


def rests(federation: Federation, name: str, status: str) -> str:
    return str(federation.ends(name, status, LONG)["why"])


def test_a_worker_killed_at_any_step_is_missed_by_name_or_not_at_all(federation: Federation) -> None:
    """Two of five at a time, as three open a sum; a worker that dies over its keys can still begin."""
    killed = {
        1: {"linz": SUM_KEYS, "salzburg": SUM_SHARES, "vienna": TRAIN},
        2: {"linz": SUM_SURVIVORS, "salzburg": SUM_RELEASE},
    }
    for clinic in ("linz", "salzburg", "vienna"):
        own = [(number, steps[clinic]) for number, steps in killed.items() if clinic in steps]
        does(federation.home(clinic), *((DIE, "train", number, 1, step) for number, step in own))
    train(federation, "killed", rounds=2)
    rests(federation, "killed", "finished")
    first, second = federation.history("killed")
    assert (first["replied"], second["replied"]) == (3, 5)  # with its values sent, it is in the sum
    assert first["left_out"].startswith(  # by name, linz would be before them
        "salzburg: secure sum failed there (FederationError); its own log says why; "
        "vienna: training failed there (FederationError); its own log says why"
    )
    assert "(evaluation)" in second["left_out"] or not second["left_out"]
    for clinic, times in {"linz": 2, "salzburg": 2, "vienna": 1}.items():
        assert federation.log(clinic).count("the worker ended (signal 9) and is started again") == times
    worker = (federation.home("salzburg") / "node" / "worker.log").read_text()
    assert "This clinic has not begun this attempt at a secure sum, or no longer knows it" in worker
    start, end = (load_state(federation.run_folder("killed"), number).weights for number in (1, 2))
    assert np.abs(end - start - 0.01).max() < 1e-5
    assert "Traceback" not in federation.log(SERVER)


def test_one_more_than_the_threshold_bears_opens_nothing_and_the_error_says_who_where_and_what_to_do(
    federation: Federation,
) -> None:
    for clinic in THREE:
        does(
            federation.home(clinic),
            (DIE, "train", 1, 1, SUM_SHARES),
            (DIE, "train", 1, 2, TRAIN),
            (DIE, "train", 1, 3, SUM_SURVIVORS),
            (DIE, "train", 2, 1, SUM_RELEASE),
        )
    train(federation, "more", rounds=2)
    for sent in ("shares", "masked vectors"):
        why = rests(federation, "more", "paused")
        assert f"2 clinics sent their {sent}, of the 3 that a secure sum needs" in why
        assert "missing: linz, salzburg, vienna" in why
        assert all(f"{clinic}: " in why for clinic in THREE)
        assert "Nothing was opened. Connect the clinics named here" in why
        federation.coordinator("resume", "more")
    rests(federation, "more", "finished")
    signing, releasing = federation.history("more")
    assert "2 clinics sent their signatures, of the 3" in signing["left_out"]
    assert "missing: linz, salzburg, vienna" in signing["left_out"]
    assert "cannot be taken off the sum" in releasing["left_out"]
    assert "not released by: linz, salzburg, vienna" in releasing["left_out"]
    assert [signing["replied"], releasing["replied"]] == [0, 0]
    before, after = (load_state(federation.run_folder("more"), number).weights for number in (1, 2))
    assert (before == after).all()


@pytest.mark.parametrize(
    "cuts",
    [{"linz": SUM_KEYS, "wels": TRAIN}, {"linz": SUM_SHARES, "wels": SUM_RELEASE}, {"linz": SUM_SURVIVORS}],
    ids=["keys and values", "shares and release", "signature"],
)
def test_a_way_cut_at_any_step_costs_the_clinic_behind_it_at_most(
    federation: Federation, cuts: dict[str, str], request: pytest.FixtureRequest
) -> None:
    name = "cut-" + request.node.callspec.id.replace(" ", "-")
    direct = f"localhost:{federation.port}"
    with ExitStack() as stack:
        ways = {clinic: stack.enter_context(way_to(federation.port)) for clinic in cuts}
        for clinic, way in ways.items():
            federation.end(clinic)
            edit(federation.home(clinic) / "server.json", direct, f"localhost:{way.port}")
            does(federation.home(clinic), (WAIT, "train", 1, 1, cuts[clinic]))
            federation.start_clinic(clinic, "tests.faults.summing_worker")
        wait_for(lambda: federation.connected(*CLINICS), LONG)
        train(federation, name, rounds=1, deadline="2m")
        for clinic in sorted(cuts, key=lambda clinic: STEPS.index(cuts[clinic])):
            at = federation.home(clinic) / AT_STEP
            wait_for(at.exists, LONG)
            ways[clinic].cut()
            at.unlink()
        rests(federation, name, "finished")
        for clinic, way in ways.items():
            way.restore()
            federation.end(clinic)
            edit(federation.home(clinic) / "server.json", f"localhost:{way.port}", direct)
            federation.start_clinic(clinic, "tests.faults.summing_worker")
        wait_for(lambda: federation.connected(*CLINICS), LONG)
    (row,) = federation.history(name)
    missing = [clinic for clinic, step in cuts.items() if STEPS.index(step) <= STEPS.index(TRAIN)]
    assert row["replied"] == len(CLINICS) - len(missing)
    in_training = [each for each in row["left_out"].split("; ") if "(evaluation)" not in each]
    assert [each.split(": ")[0] for each in in_training if each] == missing
    assert all("no reply within" in each or "not connected" in each for each in in_training if each)
    state = load_state(federation.run_folder(name))
    assert np.abs(state.weights - load_state(federation.run_folder(name), 0).weights - 0.01).max() < 1e-5
