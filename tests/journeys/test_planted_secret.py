"""What leaves a clinic, seen whole: nothing that was planted there, and no look-up but the server's name.

One run by the commands: two real clinics, and a third whose node leaks on purpose, so that the search is seen
to find what there is. A tap inside TLS keeps every byte that the three send.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass

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
    """A run that is over, and what was asked of the resolver, if that could be seen."""

    run: WholeRun
    place: lookups.Place | None
    asked: frozenset[str]


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outcome]:
    folder = tmp_path_factory.mktemp("whole")
    (folder / "lookups").mkdir()
    hidden = lookups.why_not() is None
    with lookups.place(folder / "lookups", HOST) if hidden else nullcontext() as place:
        where = {"host": HOST, "prefix": place.prefix} if place else {"host": "localhost"}
        with whole_run(folder / "run", **where) as run:
            hold(run)
        yield Outcome(run, place, frozenset(place.asked() if place else ()))


def hold(run: WholeRun) -> None:
    """A run that fails at first, over an image that cannot be read, and is resumed to its end."""
    run.folder.mkdir()
    data = {name: plant(run.folder / "clinics" / name, secret) for name, secret in SECRETS.items()}
    told, behind = free_port(), free_port()
    run.found(told, data)
    run.serve_behind(behind)
    start_tap(run, told, behind)
    run.start_server()
    for name in HONEST:
        run.start_node(name)
    log, home = run.home("leaking").parent / "node.log", str(run.home("leaking"))
    run.start("leaking", log, sys.executable, "-m", "tests.journeys.leaking_node", home)
    (image,) = data["linz"].glob("*_7.png")
    whole = image.read_bytes()
    image.write_bytes(whole[: len(whole) // 2])
    run.ask(PLAN, list(SECRETS))
    assert run.rest()["status"] == "paused"
    image.write_bytes(whole)
    run.coordinator("resume", "first")
    first = run.server / "runs" / "0001-first" / "round-0001.npz"
    run.until(lambda: first.exists() or run.run()["status"] == "paused", pause=2)
    assert first.exists(), run.run()
    shutil.copytree(run.server, run.outside / "in_mid_run", ignore=shutil.ignore_patterns("trust"))
    last = run.rest()
    assert (last["status"], last["rounds_done"]) == ("finished", 2), last
    for name in (*SECRETS, "server", "tap"):
        run.end(name)


def start_tap(run: WholeRun, told: int, behind: int) -> None:
    heard = run.outside / "sent"
    heard.mkdir()
    run.start(
        "tap",
        run.outside / "tap.log",
        *(sys.executable, "-m", "tests.journeys.tap", str(told), str(behind), run.host),
        *(str(run.server / "trust"), str(heard)),
    )


def needles(*clinics: str) -> Needles:
    return {needle: what for name in clinics for needle, what in SECRETS[name].needles().items()}


def test_nothing_of_the_clinics_data_is_outside(outcome: Outcome) -> None:
    assert search(outcome.run.outside, needles(*HONEST)) == {}


def test_the_capture_is_whole(outcome: Outcome) -> None:
    """Each clinic sent a model a round, by calls that are all seen."""
    sent = b"".join(path.read_bytes() for path in (outcome.run.outside / "sent").iterdir())
    weights = (outcome.run.server / "runs" / "0001-first" / "round-0002.npz").stat().st_size
    assert len(sent) > 6 * 0.9 * weights
    for call in ("activate-node", "send-node-heartbeat", "pull-messages", "push-messages", "push-object"):
        assert f"POST /v1/fleet/{call}".encode() in sent


def test_the_same_search_finds_what_a_node_leaks_on_purpose(outcome: Outcome) -> None:
    found = search(outcome.run.outside / "sent", needles("leaking"))
    leaks = {leak.split(", ", 1)[1] for hits in found.values() for leak in hits}
    assert {"utf-8", "BGR, uint8", "0 to 1, float32", "utf-8, base64"} <= leaks


def test_the_same_search_finds_the_clinics_data_at_home(outcome: Outcome) -> None:
    """The network is given the very pixels that are looked for: nothing on the way changes them."""
    for name in HONEST:
        at_home = search(outcome.run.folder / "clinics" / "cache", SECRETS[name].needles())
        assert any("RGB, uint8" in hit for hits in at_home.values() for hit in hits)
        assert search(outcome.run.home(name), SECRETS[name].needles())


def test_no_look_up_but_the_servers_name(outcome: Outcome) -> None:
    if outcome.place is None:
        pytest.skip(str(lookups.why_not()))
    assert outcome.asked == {HOST}


def test_the_same_resolver_sees_what_stock_flower_asks_for(outcome: Outcome) -> None:
    if outcome.place is None:
        pytest.skip(str(lookups.why_not()))
    stock = "from flwr.supercore.telemetry import EventType, event; event(EventType.PING).result()"
    clean = ["env", "-u", "FLWR_TELEMETRY_ENABLED", f"HOME={outcome.run.folder}", sys.executable, "-c", stock]
    subprocess.run([*outcome.place.prefix, *clean], check=True, capture_output=True)
    (asked,) = outcome.place.asked() - {HOST}
    assert asked.endswith("flower.ai")
