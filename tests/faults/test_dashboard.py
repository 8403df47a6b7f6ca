"""What a coordinator sees of a real federation: one clinic is slow, one is killed, one has refused."""

from __future__ import annotations

import html
import os
import re
import signal
import time
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from dermafed.server.rounds.open_exchange import load_exchange
from tests.commands.small_datasets import HAM
from tests.faults.federation import Federation, edit
from tests.faults.processes import wait_for

pytestmark = pytest.mark.slow

KILLED, SLOW, REFUSING, UNSEEN = "graz", "linz", "wels", "melk"
NODES = (KILLED, SLOW, REFUSING)
SOON = 5.0  # seconds in which both say what has happened
TIME = r"\d\d:\d\d:\d\d UTC"


@dataclass
class Coordinator:
    """What one sees, as text: a page by a token, and the terminal."""

    federation: Federation

    def __post_init__(self) -> None:
        settings = tomllib.loads((self.federation.server / "server.toml").read_text())
        self.url = f"http://localhost:{settings['health_port']}"
        self.token = self.federation.coordinator("token", "anna").strip()

    def page(self, path: str = "/runs/1") -> str:
        caller = {"authorization": f"Bearer {self.token}"}
        page = urlopen(Request(self.url + path, headers=caller), timeout=10)
        return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page.read().decode())).split())

    def status(self) -> str:
        return re.sub(r"[\s│┃]+", " ", self.federation.coordinator("status"))

    def sees(self, words: str, in_status: str = "", seconds: float = SOON) -> None:
        """The words, regular expressions, come in time: on the page, and in ``status`` if some are given."""
        end = time.monotonic() + seconds
        for say, expected in ((self.page, words), (self.status, in_status)):
            _comes(say, expected, end)
        print(f"seen {end - time.monotonic():.1f} s before its time: {words}")


def _comes(say: Callable[[], str], words: str, end: float) -> None:
    while not re.search(words, text := say()):
        assert time.monotonic() < end, f"{words!r} not in: {text}"
        time.sleep(0.2)


@pytest.fixture
def federation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Federation]:
    if not HAM.is_dir():
        pytest.skip("the real images are not beside the checkout")
    monkeypatch.setenv("COLUMNS", "250")  # so that no line of a table is broken
    made = Federation(tmp_path, clinics=(*NODES, UNSEEN)).make()
    edit(made.home(REFUSING) / "clinic.toml", "max_rounds = 1000", "max_rounds = 1")
    yield made
    made.kill(*list(made.running))


def test_the_coordinator_sees_within_seconds_who_failed_and_why(federation: Federation) -> None:
    federation.start_server()
    coordinator = Coordinator(federation)
    with pytest.raises(HTTPError, match="401"):
        urlopen(f"{coordinator.url}/runs/1", timeout=10)
    for clinic in NODES:
        federation.start_clinic(clinic)
    wait_for(lambda: federation.connected(*NODES))
    assert re.search(rf"Pending invitations .* {UNSEEN} \S+ \S+ SHA256:\S+ Clinics", coordinator.page("/"))
    federation.train("seen", rounds=2, quorum=1, approval="45s", deadline="10m")
    wait_for(lambda: federation.run("seen")["status"] == "running")
    refused = rf"{REFUSING} refused: \w+"
    coordinator.sees(refused, rf"{REFUSING} .*refused: \w+")
    _is_seen_late(federation, coordinator)
    federation.in_round("seen", 2, KILLED)
    federation.kill(KILLED)
    coordinator.sees(rf"{KILLED} not heard since {TIME}", rf"{KILLED} .*not heard since {TIME}")
    coordinator.sees(rf"{KILLED} (is|it is) not connected", seconds=120)  # once its heartbeats are missed
    federation.ends("seen")
    coordinator.sees(rf"Left out .*{KILLED}: ")


def _is_seen_late(federation: Federation, coordinator: Coordinator) -> None:
    """A clinic stands still while the other replies: it is late once it takes twice as long."""
    federation.in_round("seen", 1, SLOW)
    (worker,) = federation.numbers(SLOW, "dermafed.client.node.worker")
    os.kill(worker, signal.SIGSTOP)
    coordinator.sees(rf"{SLOW} training: asked at {TIME}", rf"{SLOW} .*training since {TIME}")
    took = wait_for(lambda: _seconds_of_the_other(federation))
    while _asked_for(federation) < max(2 * took, 5.0):
        time.sleep(0.1)
    late = rf"{SLOW} training: asked at {TIME}, the others have replied"
    coordinator.sees(rf"Late: {SLOW}\. .*{late}", rf"late: {SLOW} \(asked at {TIME}\)")
    os.kill(worker, signal.SIGCONT)


def _seconds_of_the_other(federation: Federation) -> float | None:
    """How long the clinic took that has replied."""
    exchange = load_exchange(federation.run_folder("seen"))
    turn = exchange.turns.get(KILLED) if exchange else None
    if turn is None or turn.answered is None:
        return None
    return _time(turn.answered) - _time(turn.asked) or 1.0


def _asked_for(federation: Federation) -> float:
    """For how many seconds the slow clinic has been asked."""
    exchange = load_exchange(federation.run_folder("seen"))
    assert exchange is not None
    return datetime.now(UTC).timestamp() - _time(exchange.turns[SLOW].asked)


def _time(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()
