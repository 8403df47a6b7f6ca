"""What an explanation is."""

from __future__ import annotations

from dataclasses import dataclass

from dermafed.shared.explain.maps import Float
from dermafed.shared.explain.target import Target


@dataclass(frozen=True, slots=True, eq=False)
class Explanation:
    """What moved the score of one image.

    Attributes:
        heatmap: the method's own map brought to [0, 1], float32 (H, W), of the network's input size.
        low: the least value of the method's own map.
        high: its largest.
        target: the class explained, and the one against it if any.
        probabilities: of every class, float32 (C,).
        method: its name.
        agreement: of an estimated map, Pearson's r with the estimate before; 1 for an exact one; ``None`` for
            methods that estimate nothing.
        passes: masked passes of the network.
        seconds: of work.
    """

    heatmap: Float
    low: float
    high: float
    target: Target
    probabilities: Float
    method: str
    agreement: float | None
    passes: int
    seconds: float

    @property
    def constant(self) -> bool:
        """Whether the method found nothing that moved the score: the map is zero everywhere."""
        return not self.heatmap.any()

    @property
    def predicted(self) -> int:
        """The most probable class."""
        return int(self.probabilities.argmax())
