"""A round besides training of EfficientNetB0's weights, 3 clinics: ours over TLS, stock Flower, and NVFlare.

``python -m benchmarks.federation_cost`` says what ours and stock Flower do, and
:mod:`benchmarks.cost.nvflare` what NVFlare does. A turn is a run of two rounds, of which the second is
measured. Stock Flower has no TLS and no node keys here, and nothing on the disk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import count

from benchmarks.comparisons import Place
from benchmarks.cost.nvflare import nvflare_rounds
from benchmarks.cost.ours import our_rounds
from benchmarks.cost.relay import Cost
from benchmarks.cost.stock import stock_rounds
from benchmarks.federation import in_own_process
from benchmarks.federation_cost import FEW, shapes_of_weights
from benchmarks.measuring import Figures, Goal, Way
from benchmarks.peers import NVFLARE, PeerMissing, environment

ROUNDS = 2
SECONDS, MB = "seconds a round", "MB a round and clinic"
OURS, STOCK, POC = "fl-server and fl-client, TLS", "stock Flower", "NVFlare POC, TLS"
GOALS = (
    Goal(SECONDS, OURS, STOCK, 20),
    Goal(SECONDS, OURS, POC),
    Goal(MB, OURS, STOCK),
    Goal(MB, OURS, POC),
    Goal(MB, OURS, limit=17),
)
SLOW = True


@contextmanager
def ways(place: Place) -> Iterator[Mapping[str, Way]]:
    """A federation of its own for each turn."""
    shapes, turns = in_own_process(shapes_of_weights), count()

    def way(run: Callable[[], Cost]) -> Figures:
        cost = run()
        return {SECONDS: cost.seconds, MB: cost.bytes / FEW / 1e6}

    found = {
        OURS: lambda: way(lambda: our_rounds(place.folder / f"ours{next(turns)}", FEW, ROUNDS)),
        STOCK: lambda: way(lambda: stock_rounds(place.folder / f"stock{next(turns)}", FEW, ROUNDS, shapes)),
    }
    try:
        python = environment(*NVFLARE)
        found[POC] = lambda: way(
            lambda: nvflare_rounds(python, place.folder / f"nvflare{next(turns)}", FEW, ROUNDS)
        )
    except PeerMissing as error:
        place.note(str(error))
    yield found
