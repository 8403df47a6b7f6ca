"""The dashboard over a real federation: one clinic is killed, one is slow, one has refused the plan."""

from __future__ import annotations

import html
import os
import re
import signal
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from tests.commands.small_datasets import HAM
from tests.faults.federation import Federation, edit
from tests.faults.processes import wait_for

pytestmark = pytest.mark.slow

KILLED, SLOW, REFUSING, UNSEEN = "graz", "linz", "wels", "melk"
SOON = 5.0  # seconds in which the page says what has happened


class Dashboard:
    """Its pages as a reader with a token sees them."""

    def __init__(self, federation: Federation) -> None:
        settings = tomllib.loads((federation.server / "server.toml").read_text())
        self.url = f"http://localhost:{settings['health_port']}"
        self.token = federation.coordinator("token", "anna").strip()

    def text(self, path: str) -> str:
        page = urlopen(
            Request(self.url + path, headers={"authorization": f"Bearer {self.token}"}), timeout=10
        )
        return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page.read().decode())).split())

    def says(self, words: str, path: str = "/runs/1", seconds: float = SOON) -> None:
        """The words, a regular expression, come in time."""
        end = time.monotonic() + seconds
        while not re.search(words, text := self.text(path)):
            assert time.monotonic() < end, f"{words!r} not in: {text}"
            time.sleep(0.2)


@pytest.fixture
def federation(tmp_path: Path) -> Iterator[Federation]:
    if not HAM.is_dir():
        pytest.skip("the real images are not beside the checkout")
    made = Federation(tmp_path, clinics=(KILLED, SLOW, REFUSING, UNSEEN)).make()
    edit(made.home(REFUSING) / "clinic.toml", "max_rounds = 1000", "max_rounds = 1")
    yield made
    made.kill(*list(made.running))


def test_the_page_says_within_seconds_who_failed_and_why(federation: Federation) -> None:
    federation.start_server()
    page = Dashboard(federation)
    with pytest.raises(HTTPError, match="401"):
        urlopen(f"{page.url}/runs/1", timeout=10)
    nodes = (KILLED, SLOW, REFUSING)
    for clinic in nodes:
        federation.start_clinic(clinic)
    wait_for(lambda: federation.connected(*nodes))
    page.says(rf"Pending invitations .* {UNSEEN} \d{{4}}-\d\d-\d\d \d\d:\d\d SHA256:\S+ Clinics", "/")
    federation.train("seen", rounds=2, quorum=1, approval="45s", deadline="10m")
    wait_for(lambda: federation.run("seen")["status"] == "running")
    page.says(rf"{REFUSING} refused: ")
    federation.in_round("seen", 1, SLOW)
    (worker,) = federation.numbers(SLOW, "dermafed.client.node.worker")
    os.kill(worker, signal.SIGSTOP)
    federation.in_round("seen", 1, KILLED)
    federation.kill(KILLED)
    page.says(rf"{KILLED} (is not connected any more; |training: )asked at \d\d:\d\d:\d\d UTC")
    page.says(rf"{SLOW} training: asked at \d\d:\d\d:\d\d UTC")
    page.says(rf"{KILLED} (is|it is) not connected", seconds=120)  # as soon as the server knows
    os.kill(worker, signal.SIGCONT)
    wait_for(lambda: federation.run("seen")["rounds_done"] >= 1)
    page.says("[12] of 2 rounds are finished.* Left out")
