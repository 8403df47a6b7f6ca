"""Who shares masks with whom, and holds shares of whose secrets."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from dermafed.shared.secure_sum.packing import packed_index
from dermafed.shared.secure_sum.thresholds import reach_of


@dataclass(frozen=True)
class Graph:
    """A ring of all clinics in which each is joined to the next ones on both sides.

    This is a Harary graph of randomly placed nodes (Bell et al. 2020, section 3.2); where it reaches around
    the ring, all are joined.

    Attributes:
        ring: the clinics' places in the roster, as they sit on the ring.
        peers: how many others each one is joined to.
        threshold: how many of a clinic's holders open one of its secrets.
    """

    ring: tuple[int, ...]
    peers: int
    threshold: int
    _seat: dict[int, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_seat", {clinic: seat for seat, clinic in enumerate(self.ring)})

    def holders(self, clinic: int) -> tuple[int, ...]:
        """Who holds shares of a clinic's secrets, in ascending order: the clinic itself and its peers."""
        if self.peers >= len(self.ring) - 1:
            return tuple(sorted(self.ring))
        seat, reach = self._seat[clinic], self.peers // 2
        return tuple(sorted(self.ring[(seat + by) % len(self.ring)] for by in range(-reach, reach + 1)))

    def peers_of(self, clinic: int) -> tuple[int, ...]:
        """Whom a clinic shares masks with, in ascending order."""
        return tuple(holder for holder in self.holders(clinic) if holder != clinic)


def needs_seed(clinics: int, colluders: int) -> bool:
    """Whether a sum of so many clinics has a random graph, whose seed they draw together."""
    return reach_of(clinics, colluders).peers < clinics - 1


def draw_graph(clinics: int, colluders: int, seed: bytes) -> Graph:
    """The graph of a sum.

    Args:
        clinics: n of the roster; who drops out later keeps its seat.
        colluders: f of the roster.
        seed: what the ring's order is drawn from; of no effect where all are joined.

    Raises:
        SettingsError: the sum is impossible.
    """
    reach = reach_of(clinics, colluders)
    ring = sorted(range(clinics), key=lambda clinic: hashlib.sha256(seed + packed_index(clinic)).digest())
    return Graph(tuple(ring), reach.peers, reach.threshold)
