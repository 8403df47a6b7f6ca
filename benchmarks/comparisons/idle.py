"""CPU that waiting takes, in percent of a core: fl-server with one node, that node, and stock Flower's two.

All four with their children, at the same time, for the same seconds, while nobody asks anything.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from benchmarks.comparisons import Place
from benchmarks.cost.ours import all_connected
from benchmarks.cost.stock import start_stock
from benchmarks.measuring import Figures, Goal, Way
from benchmarks.process_tree import share_of_a_core
from tests.commands.small_datasets import draw_dataset
from tests.journeys.whole_run import whole_run
from tests.ports import free_port

SECONDS, SETTLING, PERCENT = 12.0, 5.0, "percent of a core"
SERVER, CLIENT, LINK, NODE = "fl-server start", "fl-client start", "flower-superlink", "flower-supernode"
GOALS = (
    Goal(PERCENT, SERVER, limit=0.5),
    Goal(PERCENT, CLIENT, limit=0.5),
    Goal(PERCENT, SERVER, LINK),
    Goal(PERCENT, CLIENT, NODE),
)
SLOW = False


@contextmanager
def ways(place: Place) -> Iterator[Mapping[str, Way]]:
    """Two federations of one node each; a turn of all four is one measurement."""
    data = draw_dataset(place.folder / "data", ("all",))
    with whole_run(place.folder / "ours") as ours, start_stock(place.folder / "stock", 1) as stock:
        ours.set_up(free_port(), {"graz": data})
        ours.start_server()
        ours.start_node("graz")
        ours.wait_until(lambda: all_connected(ours), pause=1)
        time.sleep(SETTLING)
        processes = {
            SERVER: ours.processes["server"].pid,
            CLIENT: ours.processes["graz"].pid,
            LINK: stock.processes["link"].pid,
            NODE: stock.processes["node0"].pid,
        }
        turn: dict[str, float] = {}

        def way(name: str) -> Figures:
            if name not in turn:  # the next turn begins
                turn.clear()
                turn.update(share_of_a_core(processes, SECONDS))
            return {PERCENT: turn.pop(name)}

        yield {name: lambda name=name: way(name) for name in processes}  # type: ignore[misc]
