"""A process that saves, forgets and lets expire until it is killed, and reports what was acknowledged."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path

from dermafed.client.clinic.store.opinions import Opinion
from dermafed.client.clinic.store.store import open_store
from dermafed.client.node.home import Home
from tests.client.clinic.store.samples import diagnosis, prepared, received

OLD_DAYS = 90


def work_until_killed(folder: Path, seed: int, reports: Connection) -> None:
    """Opens the store and works; every report is sent once the store has returned."""
    draw = random.Random(seed)
    with open_store(Home(folder), 30) as store:
        reports.send(("open",))
        mine: list[str] = []
        while True:
            what = draw.random()
            if what < 0.65 or not mine:
                number = draw.randrange(2**30)
                of = received(number)
                made = store.save(diagnosis(of, f"r-{number}"), of, prepared(number))
                mine.append(made.id)
                reports.send(("saved", made.id, number))
            elif what < 0.75:
                number = draw.randrange(2**30)
                time = (datetime.now(UTC) - timedelta(OLD_DAYS)).isoformat(timespec="milliseconds")
                made = store.save(diagnosis(received(number), time=time), received(number), prepared(number))
                reports.send(("old", made.id, number))
            elif what < 0.85:
                id = mine.pop(draw.randrange(len(mine)))
                reports.send(("forgetting", id))
                store.forget(id)
                reports.send(("forgot", id))
            elif what < 0.95:
                store.add_opinion(mine[-1], Opinion("dr", True, reason="as I thought"))
                reports.send(("said", mine[-1]))
            else:
                store.expire(datetime.now(UTC))
