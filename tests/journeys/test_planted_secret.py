"""All traffic of clinics: it has no planted secret, and no name look-up but that of the server.

One run by the commands: two real clinics, and a third whose node leaks on purpose, to show that the search
finds leaks. A tap inside TLS records every byte that the three send.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import pytest

from tests.journeys import lookups
from tests.journeys.secrets import Needles, Secret, plant, search
from tests.journeys.whole_run import WholeRun, whole_run
from tests.ports import free_port

pytestmark = pytest.mark.slow

SECRETS = {
    "graz": Secret("Wilhelmine Obermöser", "obermoeser_19540312", seed=11),
    "linz": Secret("Ottokar Zwerschina", "zwerschina_19610930", seed=22),
    "leaking": Secret("Kunigunde Pfannhauser", "pfannhauser_19700101", seed=33),
}
HONEST = ("graz", "linz")
HOST = "derma.test"
PLAN = """
name = "first"
rounds = 2
weights = "none"
threads = 1
[model]
classes = ["melanoma", "nevus"]
image_size = 64
[preprocess]
denoise = "none"
clahe = false
[rules]
quorum = 3
deadline = "1h"
approval = "1h"
wait = "1h"
"""


@dataclass
class Outcome:
    """A finished run, the counts that were told, and the names that were looked up, if they were recorded."""

    run: WholeRun
    counts: dict[str, Any]
    place: lookups.Place | None
    looked_up: frozenset[str]


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outcome]:
    folder = tmp_path_factory.mktemp("whole")
    (folder / "lookups").mkdir()
    possible = lookups.why_not() is None
    with lookups.place(folder / "lookups", HOST) if possible else nullcontext() as place:
        where = {"host": HOST, "prefix": place.prefix} if place else {"host": "localhost"}
        with whole_run(folder / "run", **where) as run:
            counts = run_federation(run)
        yield Outcome(run, counts, place, frozenset(place.names() if place else ()))


def run_federation(run: WholeRun) -> dict[str, Any]:
    """Run a federation that is paused by an unreadable image, and resumed to its end; ask it for counts."""
    run.folder.mkdir()
    data = {name: plant(run.folder / "clinics" / name, secret) for name, secret in SECRETS.items()}
    public, internal = free_port(), free_port()
    run.set_up(public, data)
    run.listen_on(internal)
    start_tap(run, public, internal)
    run.start_server()
    for name in HONEST:
        run.start_node(name)
    log, home = run.home("leaking").parent / "node.log", str(run.home("leaking"))
    run.start("leaking", log, sys.executable, "-m", "tests.journeys.leaking_node", home)
    (image,) = data["linz"].glob("*_7.png")
    whole = image.read_bytes()
    image.write_bytes(whole[: len(whole) // 2])
    run.start_run(PLAN, list(SECRETS))
    assert run.finished_run()["status"] == "paused"
    image.write_bytes(whole)
    run.coordinator("resume", "first")
    first = run.server / "runs" / "0001-first" / "round-0001.npz"
    run.wait_until(lambda: first.exists() or run.last_run()["status"] == "paused", pause=2)
    assert first.exists(), run.last_run()
    shutil.copytree(run.server, run.server_side / "in_mid_run", ignore=shutil.ignore_patterns("trust"))
    last = run.finished_run()
    assert (last["status"], last["rounds_done"]) == ("finished", 2), last
    with (run.home("graz") / "clinic.toml").open("a") as settings:
        settings.write("[counts]\nlesions = true\n")
    counts: dict[str, Any] = json.loads(run.coordinator("query", "--json"))
    for name in (*SECRETS, "server", "tap"):
        run.stop(name)
    return counts


def start_tap(run: WholeRun, public: int, internal: int) -> None:
    sent = run.server_side / "sent"
    sent.mkdir()
    run.start(
        "tap",
        run.server_side / "tap.log",
        *(sys.executable, "-m", "tests.journeys.tap", str(public), str(internal), run.host),
        *(str(run.server / "trust"), str(sent)),
    )


def needles(*clinics: str) -> Needles:
    return {needle: text for name in clinics for needle, text in SECRETS[name].needles().items()}


def test_no_data_of_the_clinics_is_at_the_server(outcome: Outcome) -> None:
    assert search(outcome.run.server_side, needles(*HONEST)) == {}


def test_the_capture_is_complete(outcome: Outcome) -> None:
    """Each clinic sent a model in each round, and the tap recorded all calls."""
    sent = b"".join(path.read_bytes() for path in (outcome.run.server_side / "sent").iterdir())
    weights = (outcome.run.server / "runs" / "0001-first" / "round-0002.npz").stat().st_size
    assert len(sent) > 6 * 0.9 * weights
    for call in ("activate-node", "send-node-heartbeat", "pull-messages", "push-messages", "push-object"):
        assert f"POST /v1/fleet/{call}".encode() in sent


def test_counts_are_told_by_the_clinic_that_allows_it(outcome: Outcome) -> None:
    told = outcome.counts
    assert list(told["clinics"]) == ["graz"]
    assert told["clinics"]["graz"]["lesions"] == 20  # of 24
    assert told["left_out"]["linz"].startswith("not approved there")
    assert "query.counts" in outcome.run.clinic("graz", "audit")


def test_the_same_search_finds_the_leaks_of_the_leaking_node(outcome: Outcome) -> None:
    found = search(outcome.run.server_side / "sent", needles("leaking"))
    leaks = {leak.split(", ", 1)[1] for hits in found.values() for leak in hits}
    assert {"utf-8", "BGR, uint8", "0 to 1, float32", "utf-8, base64"} <= leaks


def test_the_same_search_finds_the_clinics_data_at_the_clinic(outcome: Outcome) -> None:
    """The network gets exactly the planted pixels: no step changes them."""
    for name in HONEST:
        found = search(outcome.run.folder / "clinics" / "cache", SECRETS[name].needles())
        assert any("RGB, uint8" in hit for hits in found.values() for hit in hits)
        assert search(outcome.run.home(name), SECRETS[name].needles())


def test_no_look_up_but_the_servers_name(outcome: Outcome) -> None:
    if outcome.place is None:
        pytest.skip(str(lookups.why_not()))
    assert outcome.looked_up == {HOST}


def test_the_same_resolver_records_the_look_ups_of_stock_flower(outcome: Outcome) -> None:
    if outcome.place is None:
        pytest.skip(str(lookups.why_not()))
    stock = "from flwr.supercore.telemetry import EventType, event; event(EventType.PING).result()"
    clean = ["env", "-u", "FLWR_TELEMETRY_ENABLED", f"HOME={outcome.run.folder}", sys.executable, "-c", stock]
    subprocess.run([*outcome.place.prefix, *clean], check=True, capture_output=True)
    (name,) = outcome.place.names() - {HOST}
    assert name.endswith("flower.ai")
