"""A run by secure sums over groups of nine clinics, and what one of them can check of a round afterwards."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from dermafed.client.cli import app
from dermafed.server.record.runs_table import Run, find_run
from dermafed.server.rounds.checkpoint import load_state
from dermafed.shared.errors import FederationError
from tests.journeys.secure_federation import SecureFederation, start
from tests.shared.secure_sum.conftest import each_signature_checked_once as each_signature_checked_once

pytestmark = pytest.mark.usefixtures("each_signature_checked_once")

NAMES = ("bern", "chur", "graz", "linz", "nice", "oslo", "riga", "ulm", "wien")
GROUPED = 'privacy = { aggregation = "secure", colluders = 0 }\nrobust = { rule = "median" }'


@pytest.fixture(scope="module")
def federation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureFederation]:
    folder = tmp_path_factory.mktemp("replayed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DERMAFED_CACHE", str(folder / "cache"))
        yield SecureFederation(folder, NAMES, (20,) * 9)


@pytest.fixture(scope="module")
def run(federation: SecureFederation) -> Run:
    asked = federation.ask("spring", keys=GROUPED)
    with pytest.raises(FederationError, match="graz: waiting"):
        federation.execute("spring")
    federation.approve(asked.hash)
    federation.execute("spring")
    return find_run(federation.record, "spring")


def audit(federation: SecureFederation, *options: object, code: int = 0) -> str:
    home = federation.homes["graz"].folder
    done = CliRunner().invoke(app, ["audit", "--dir", str(home), "--run", "spring", *map(str, options)])
    assert done.exit_code == code, done.output
    return done.stdout


def faults(federation: SecureFederation, round: int) -> list[str]:
    found = json.loads(audit(federation, "--round", round, "--json", code=1))
    checks = [check for one in found["sums"] for check in one["checks"]] + found["models"]
    return [f"{check['what']}: {check['fault']}" for check in checks if check["fault"]]


def test_the_rule_is_over_groups_and_every_check_of_a_round_holds(
    federation: SecureFederation, run: Run
) -> None:
    state = load_state(federation.folder / "runs" / run.folder_name)
    # Clinic k moves each weight by (k + 1) / 4; a median of the means of groups of three lies within.
    assert 2 * 0.5 - 1e-6 <= float((state.weights - start()).min()) <= 2 * 2.0
    found = json.loads(audit(federation, "--round", 1, "--json"))
    (train, evaluate) = found["sums"]
    assert (train["label"], train["attempt"], len(train["clinics"])) == ("train", 1, 3)
    assert "graz" in train["clinics"]
    assert evaluate["clinics"] == list(NAMES)
    checks = [check["what"] for check in train["checks"]]
    assert len(checks) == 8
    assert "the seed was drawn by those who committed to its parts" in checks
    assert "3 clinics signed the same list before anything was released" in checks
    said = [check["what"] for check in found["models"]]
    assert said[0] == "the model of round 2 is the one that was validated"
    moved = float((load_state(federation.folder / "runs" / run.folder_name, 1).weights - start())[0])
    assert f"moved no weight by more than {moved:.3g}" in said[1]
    assert said[2].endswith("cosine of 1.00")  # all clinics move in this direction
    text = audit(federation, "--round", 1)
    assert "secure sum 'train', attempt 1: over " in text
    assert text.count("holds") == len(checks) + len(evaluate["checks"]) + 3
    assert json.loads(audit(federation, "--round", 0, "--json"))["sums"][0]["label"] == "counts"
    assert not json.loads(audit(federation, "--round", 9, "--json"))["sums"]


def test_no_share_and_no_value_is_in_a_transcript(federation: SecureFederation, run: Run) -> None:
    for path in folder(federation, run).iterdir():
        for step in json.loads(path.read_text()):
            for side in ("received", "sent"):
                secret = step["kind"] in ("train.summed", "evaluate.summed", "query.summed_counts")
                secret |= (side, step["kind"]) in (
                    ("sent", "query.sum_shares"),
                    ("sent", "query.sum_release"),
                )
                assert bool(step[side]["content"]) is not secret, (step["kind"], side)


def folder(federation: SecureFederation, run: Run) -> Path:
    return federation.homes["graz"].offers / run.hash / "transcripts"


def of_kind(steps: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    return next(step for step in steps if step["kind"] == kind)


def other_model(steps: list[dict[str, Any]]) -> None:
    of_kind(steps, "train.summed")["more"]["weights"] = "0" * 64


def both_secrets(steps: list[dict[str, Any]]) -> None:
    more = of_kind(steps, "query.sum_release")["more"]
    more["mask_key"] = more["self_seed"][:1]


def other_signatures(steps: list[dict[str, Any]]) -> None:
    content = of_kind(steps, "query.sum_release")["received"]
    content["content"] = content["content"][:-8] + "AAAAAAA="


def other_context(steps: list[dict[str, Any]]) -> None:
    of_kind(steps, "train.summed")["more"]["model"] = "0" * 64


@pytest.mark.parametrize(
    ("file", "change", "fault"),
    [
        ("train-2-1.json", other_model, "the model of round 2: it is another than was validated"),
        ("train-1-1.json", both_secrets, "Shares of both secrets of a clinic can be put together"),
        ("train-1-1.json", other_signatures, "2 signatures are of this list, of 3"),
        ("train-1-1.json", other_context, "names another model than the one that the server sent"),
    ],
)
def test_what_does_not_hold_is_named(
    federation: SecureFederation,
    run: Run,
    file: str,
    change: Callable[[list[dict[str, Any]]], None],
    fault: str,
) -> None:
    path = folder(federation, run) / file
    before = path.read_text()
    steps = json.loads(before)
    change(steps)
    path.write_text(json.dumps(steps))
    try:
        (found,) = faults(federation, 1)
    finally:
        path.write_text(before)
    assert fault in found
    audit(federation, "--round", 1)  # the control
