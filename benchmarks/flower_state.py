"""What a node's calls cost in Flower's states: in memory, in SQLite on a disk, and in PostgreSQL.

    python -m benchmarks.flower_state [--nodes 1000] [--calls 300] [--postgres URL] [--json]

A node that asks for messages is found by its key, looked up, and its messages are searched; every so often it
says that it is alive. The time is that which passes, since a database works in processes of its own.

Flower 1.41 accepts SQLite alone. With ``--postgres`` (``postgresql+psycopg://USER@HOST/NAME``, and the
package ``psycopg``), a class of this benchmark lifts that check, to see what it would cost.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from flwr.server.superlink.linkstate import LinkState
from flwr.server.superlink.linkstate.in_memory_linkstate import InMemoryLinkState
from flwr.server.superlink.linkstate.sql_linkstate import SqlLinkState
from flwr.supercore.object_store.in_memory_object_store import InMemoryObjectStore
from flwr.superlink.federation import NoOpFederationManager

_ALIVE = 30.0  # seconds between two signs of life


class _AnySqlState(SqlLinkState):
    """Flower's state in any database that SQLAlchemy knows."""

    allowed_dialects = None


def sql_state(url: str) -> SqlLinkState:
    """Flower's own state in a database."""
    kind = SqlLinkState if "://" not in url else _AnySqlState
    state = kind(url, NoOpFederationManager(), InMemoryObjectStore())
    state.initialize()
    return state


def in_memory() -> InMemoryLinkState:
    """Flower's own state in memory."""
    return InMemoryLinkState(NoOpFederationManager(), InMemoryObjectStore())


def measure(state: LinkState, nodes: int, calls: int) -> dict[str, float]:
    """Milliseconds of each call, the median over some, with so many nodes registered."""
    keys = [f"key {number}".encode() for number in range(nodes)]
    ids = [state.create_node("owner", "owner", key, _ALIVE) for key in keys]
    for node in ids:
        state.activate_node(node, _ALIVE)
    works: dict[str, Callable[[int], Any]] = {
        "find by key": lambda one: state.get_node_id_by_public_key(keys[one]),
        "look up": lambda one: state.get_node_info(node_ids=[ids[one]]),
        "search messages": lambda one: state.get_message_ins(ids[one], 1),
        "say that it is alive": lambda one: state.acknowledge_node_heartbeat(ids[one], _ALIVE),
    }
    return {name: _milliseconds(work, nodes, calls) for name, work in works.items()}


def _milliseconds(work: Callable[[int], Any], nodes: int, calls: int) -> float:
    laps = []
    for call in range(calls):
        start = time.perf_counter()
        work(call % nodes)
        laps.append(time.perf_counter() - start)
    return 1000 * median(laps)


def main() -> None:
    """Measure each state and print a line for each call."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--nodes", type=int, default=1000, help="registered nodes")
    parser.add_argument("--calls", type=int, default=300, help="of each kind")
    parser.add_argument("--postgres", help="address of an empty database")
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        states: dict[str, Callable[[], LinkState]] = {
            "in memory": in_memory,
            "SQLite": lambda: sql_state(str(Path(folder) / "state.db")),
        }
        if url := given.postgres:
            states["PostgreSQL, which Flower refuses"] = lambda: sql_state(url)
        lines = [
            {"state": name, "call": call, "nodes": given.nodes, "ms": ms}
            for name, make in states.items()
            for call, ms in measure(make(), given.nodes, given.calls).items()
        ]
    if given.json:
        print(json.dumps(lines))
    else:
        for line in lines:
            print(f"{line['state']}, {line['call']}: {line['ms']:.3f} ms")


if __name__ == "__main__":
    main()
