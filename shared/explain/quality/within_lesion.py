"""Whether a map says anything within the lesion: its correlation with another map over the lesion's pixels.

Over the whole image the maps of a trained network and of one with shuffled weights agree already if both lie
on the lesion. Over its pixels alone they do not. A correlation is used rather than average precision inside
the lesion, which would need a part of the lesion that is called right: it has no threshold, and it is 0 where
nothing is shared. Maps that fade from the lesion's middle to its edge share that much without any knowledge,
so it is to be compared with the correlation with another image's map.
"""

from __future__ import annotations

from dermafed.shared.explain.maps import Heatmap
from dermafed.shared.explain.quality.localisation import Mask
from dermafed.shared.explain.quality.stability import correlation


def lesion_correlation(one: Heatmap, other: Heatmap, mask: Mask) -> float:
    """Pearson's r of two maps over the lesion's pixels.

    Args:
        one: float32 (S, S).
        other: the same.
        mask: bool (S, S), true on the lesion somewhere.

    Returns:
        r in [-1, 1]; 0 if either map is constant there.
    """
    return correlation(one[mask], other[mask])
