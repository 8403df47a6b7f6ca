"""A round besides training of EfficientNetB0's 4 million weights, 3 clinics: ours over TLS, and stock Flower.

``python -m benchmarks.federation_cost`` says what both sides do. A turn is a run of two rounds, of which the
second is measured. Stock Flower has no TLS and no node keys here, and nothing on the disk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import count

from benchmarks.comparisons import Place
from benchmarks.cost.ours import our_rounds
from benchmarks.cost.relay import Cost
from benchmarks.cost.stock import stock_rounds
from benchmarks.federation import in_own_process
from benchmarks.federation_cost import FEW, shapes_of_weights
from benchmarks.measuring import Figures, Goal, Way

ROUNDS = 2
SECONDS, MB = "seconds a round", "MB a round and clinic"
OURS, STOCK = "fl-server and fl-client, TLS", "stock Flower"
GOALS = (Goal(SECONDS, OURS, STOCK, 20), Goal(MB, OURS, STOCK), Goal(MB, OURS, limit=17))
SLOW = True


@contextmanager
def ways(place: Place) -> Iterator[Mapping[str, Way]]:
    """A federation of its own for each turn."""
    shapes, turns = in_own_process(shapes_of_weights), count()

    def way(run: Callable[[], Cost]) -> Figures:
        cost = run()
        return {SECONDS: cost.seconds, MB: cost.bytes / FEW / 1e6}

    yield {
        OURS: lambda: way(lambda: our_rounds(place.folder / f"ours{next(turns)}", FEW, ROUNDS)),
        STOCK: lambda: way(lambda: stock_rounds(place.folder / f"stock{next(turns)}", FEW, ROUNDS, shapes)),
    }
