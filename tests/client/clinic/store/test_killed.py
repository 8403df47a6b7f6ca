"""A kill -9 at any moment loses no acknowledged diagnosis, and leaves a consistent store."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import sqlite3
import time
from collections import Counter
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dermafed.client.clinic.intake.refusals import Refused
from dermafed.client.clinic.store.diagnoses import encode_photograph
from dermafed.client.clinic.store.store import Store, open_store
from dermafed.client.node.home import Home
from dermafed.shared.imaging.decoding import decode_image
from tests.client.clinic.store.busy_process import work_until_killed
from tests.client.clinic.store.samples import CLINICAL, prepared, received

pytestmark = pytest.mark.journey


@dataclass
class Acknowledged:
    """What the store had acknowledged to the killed processes."""

    saved: dict[str, int] = field(default_factory=dict)
    old: dict[str, int] = field(default_factory=dict)
    forgotten: set[str] = field(default_factory=set)
    doubtful: set[str] = field(default_factory=set)
    opinions: Counter[str] = field(default_factory=Counter)

    def take(self, report: tuple[Any, ...]) -> None:
        match report:
            case ("saved", id, number):
                self.saved[id] = number
            case ("old", id, number):
                self.old[id] = number
            case ("forgetting", id):
                self.doubtful.add(id)
                del self.saved[id]
            case ("forgot", id):
                self.doubtful.remove(id)
                self.forgotten.add(id)
            case ("opinions", id):
                self.opinions[id] += 1


def run_and_kill(folder: Path, seed: int, heard: int, wait: float, done: Acknowledged) -> bool:
    """Starts a process, kills it `wait` seconds after so many reports; returns whether the store was open."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.client.clinic.store.busy_process"])
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=work_until_killed, args=(folder, seed, theirs))
    process.start()
    theirs.close()
    reports: list[tuple[Any, ...]] = []
    for _ in range(heard):
        assert ours.poll(600)
        reports.append(ours.recv())
    time.sleep(wait)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    reports.extend(rest_of(ours))
    process.join()
    assert process.exitcode == -signal.SIGKILL
    for report in reports:
        done.take(report)
    return ("open",) in reports


def rest_of(pipe: Connection) -> list[tuple[Any, ...]]:
    """The whole reports; the last one may have been cut off."""
    reports: list[tuple[Any, ...]] = []
    try:
        while True:
            reports.append(pipe.recv())
    except (EOFError, OSError):
        return reports


def is_whole(store: Store, home: Home, done: Acknowledged, last: int | None = None) -> None:
    """Checks what was acknowledged, or only the last so many of it, and that there is nothing else."""
    for id, number in list(done.saved.items())[-last if last else None :]:
        of, saved = received(number), store.load(id)
        assert (saved.image_sha256, saved.clinical, saved.request) == (of.sha256, CLINICAL, f"r-{number}")
        np.testing.assert_array_equal(store.load_prepared(id), prepared(number))
        np.testing.assert_array_equal(store.load_image(id), decode_image(encode_photograph(of.image)))
        assert store.load_reference(id) == of.reference
        assert len(store.list_opinions(id)) >= done.opinions[id]
    for id, number in done.old.items():
        assert store.load(id).image_sha256 == received(number).sha256
    for id in done.forgotten:
        with pytest.raises(Refused, match="no longer stored"):
            store.load(id)
    for id in done.doubtful:  # forgotten or not, but not half
        if id not in store.list_forgotten():
            assert store.load_prepared(id).any()
    with sqlite3.connect(home.store / "store.sqlite") as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        rows = {id for (id,) in db.execute("SELECT id FROM diagnoses WHERE pictures")}
    files = Counter(path.stem for path in (home.store / "files").iterdir())
    assert files == dict.fromkeys(rows, 2)


def check_kills(home: Home, times: int) -> Acknowledged:
    draw, done = random.Random(times), Acknowledged()
    for seed in range(times):
        run_and_kill(home.folder, seed, draw.randrange(1, 7), draw.uniform(0, 0.02), done)
        with open_store(home, 30) as store:
            is_whole(store, home, done, last=None if seed == times - 1 else 20)
    return done


def test_thirty_kills_lose_nothing(home: Home) -> None:
    done = check_kills(home, 30)
    assert len(done.saved) > 30
    assert done.forgotten
    assert done.old


@pytest.mark.slow
def test_hundreds_of_kills_lose_nothing(home: Home) -> None:
    done = check_kills(home, 200)
    assert len(done.saved) > 200


def test_a_kill_while_the_store_is_made_leaves_one_that_opens(tmp_path: Path) -> None:
    draw, opened = random.Random(1), []
    for seed in range(30):
        home = Home(tmp_path / str(seed))
        home.folder.mkdir()
        done = Acknowledged()
        opened.append(run_and_kill(home.folder, seed, 0, draw.uniform(0, 0.06), done))
        with open_store(home, 30) as store:
            is_whole(store, home, done)
    assert not all(opened)
