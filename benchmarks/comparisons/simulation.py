"""A simulated round of 1,000 clinics that do not train, with a model of 700 weights: ours, and Flower on Ray.

Ours is one process, whose highest memory is measured; theirs are Ray's processes, measured once at the
end, pages that they share counted once. Neither the start nor the first round is timed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from benchmarks.comparisons import Place
from benchmarks.federation import TINY, in_own_process, run_case
from benchmarks.measuring import Figures, Goal, Way
from benchmarks.peers import RAY, PeerMissing, environment, worker

CLINICS, OUR_ROUNDS, ROUNDS = 1000, 3, 2
SECONDS, MB = "seconds a round", "MB"
OURS, FLOWER = "engine local", "Flower on Ray"
GOALS = (
    Goal(SECONDS, OURS, limit=0.5),
    Goal(MB, OURS, limit=150),
    Goal(SECONDS, OURS, FLOWER),
    Goal(MB, OURS, FLOWER),
)
SLOW = True


@contextmanager
def ways(place: Place) -> Iterator[Mapping[str, Way]]:
    """A process of its own for each turn of ours; theirs starts Ray anew in each turn."""

    def ours() -> Figures:
        found = in_own_process(run_case, CLINICS, TINY, OUR_ROUNDS)
        return {SECONDS: found["seconds_per_round"], MB: found["peak_mb"] * 2**20 / 1e6}

    def flower() -> Figures:
        with worker("flower_ray", CLINICS, TINY, ROUNDS, python=python) as measure:
            return measure()

    found: dict[str, Way] = {OURS: ours}
    try:
        python = environment(*RAY)
        found[FLOWER] = flower
    except PeerMissing as missing:
        place.note(str(missing))
    yield found
