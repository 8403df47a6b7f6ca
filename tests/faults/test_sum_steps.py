"""Each step of a secure sum over real processes and TLS: clinics whose worker is killed or way cut."""

from __future__ import annotations

import json
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
from tests.faults.federation import ACTIVE, SERVER, Federation, edit
from tests.faults.processes import wait_for
from tests.faults.proxy import way_to
from tests.faults.summing_worker import AT_STEP, DIE, STEPS_FILE, WAIT

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
LONG = 1800.0  # seconds for what takes a minute on an idle machine


@pytest.fixture(scope="module")
def federation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Federation]:
    """Five clinics, of whom three open a sum; a person approves their roster once."""
    made = Federation(tmp_path_factory.mktemp("steps"), clinics=CLINICS).make()
    made.start_server()
    for clinic in CLINICS:
        made.start_clinic(clinic, "tests.faults.summing_worker")
    wait_for(lambda: made.connected(*CLINICS), LONG)
    yield made
    made.kill(*list(made.running))


def train(federation: Federation, name: str, rounds: int, deadline: str = "20m") -> None:
    plan = federation.folder / f"{name}.toml"
    plan.write_text(PLAN.format(name=name, rounds=rounds, deadline=deadline))
    federation.coordinator("train", plan)
    for clinic in CLINICS:
        wait_for(lambda clinic=clinic: name in federation.at(clinic, "plans"), LONG)  # type: ignore[misc]
        if "waits for you" in federation.at(clinic, "plans"):
            federation.at(clinic, "approve", name)


def does(federation: Federation, clinic: str, *steps: tuple[str, str, int, int, str]) -> None:
    (federation.home(clinic) / STEPS_FILE).write_text(json.dumps(steps))


def rests(federation: Federation, name: str, status: str) -> str:
    wait_for(lambda: federation.run(name)["status"] not in ACTIVE, LONG)
    return str(federation.ends(name, status)["why"])


def test_a_worker_killed_at_any_step_is_missed_by_name_or_not_at_all(federation: Federation) -> None:
    kills = [(DIE, "train", number, 1, step) for number, step in enumerate(STEPS, 1)]
    does(federation, "linz", *kills)
    train(federation, "killed", rounds=len(STEPS))
    rests(federation, "killed", "finished")
    rows = federation.history("killed")
    log = federation.log("linz")
    assert log.count("the worker ended (signal 9) and is started again") == len(STEPS)
    # With its keys or its list not sent yet, it can still begin; with its values sent, it is in the sum.
    assert [row["replied"] for row in rows] == [5, 4, 4, 5, 5]
    for step, row in zip(STEPS, rows, strict=True):
        missing = [each for each in row["left_out"].split("; ") if each and "(evaluation)" not in each]
        what = {SUM_SHARES: "secure sum failed", TRAIN: "training failed"}.get(step)
        assert missing == ([f"linz: {what} there (FederationError); its own log says why"] if what else [])
    assert "This clinic has not begun this attempt at a secure sum, or no longer knows it" in log
    start, end = (load_state(federation.run_folder("killed"), number).weights for number in (4, 5))
    assert np.abs(end - start - 0.01).max() < 1e-5
    assert "Traceback" not in federation.log(SERVER)


def test_one_more_than_the_threshold_bears_opens_nothing_and_the_error_says_who_where_and_what_to_do(
    federation: Federation,
) -> None:
    for clinic in THREE:
        does(
            federation,
            clinic,
            (DIE, "train", 1, 1, SUM_SHARES),
            (DIE, "train", 1, 2, TRAIN),
            (DIE, "train", 1, 3, SUM_SURVIVORS),
            (DIE, "train", 2, 1, SUM_RELEASE),
        )
    train(federation, "more", rounds=3)
    for sent in ("shares", "masked vectors"):
        why = rests(federation, "more", "paused")
        assert f"2 clinics sent their {sent}, of the 3 that a secure sum needs" in why
        assert "missing: linz, salzburg, vienna" in why
        assert all(f"{clinic}: " in why for clinic in THREE)
        assert "Nothing was opened. Connect the clinics named here" in why
        federation.coordinator("resume", "more")
    rests(federation, "more", "finished")
    signing, releasing, whole = federation.history("more")
    assert "2 clinics sent their signatures, of the 3" in signing["left_out"]
    assert "missing: linz, salzburg, vienna" in signing["left_out"]
    assert "cannot be taken off the sum" in releasing["left_out"]
    assert "not released by: linz, salzburg, vienna" in releasing["left_out"]
    assert [signing["replied"], releasing["replied"], whole["replied"]] == [0, 0, 5]
    moved = (
        load_state(federation.run_folder("more")).weights
        - load_state(federation.run_folder("more"), 2).weights
    )
    assert np.abs(moved - 0.01).max() < 1e-5


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
            does(federation, clinic, (WAIT, "train", 1, 1, cuts[clinic]))
            federation.start_clinic(clinic, "tests.faults.summing_worker")
        wait_for(lambda: federation.connected(*CLINICS), LONG)
        train(federation, name, rounds=1, deadline="45s")
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
