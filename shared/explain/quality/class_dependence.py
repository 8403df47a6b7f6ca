"""Whether the maps of two classes differ: if not, a map cannot say why one class rather than the other.

Score-CAM's maps of all classes are nearly the same picture where its weights are nearly alike; see
keisen/tf-keras-vis#103.
"""

from __future__ import annotations

from dataclasses import dataclass

from dermafed.shared.explain.maps import Contrast, Heatmap, Image, map_agreement


@dataclass(frozen=True, slots=True)
class ClassDependence:
    """Pearson correlations in [-1, 1] of one image's maps; 1 where the class changes nothing.

    Attributes:
        classes: of the maps of two classes.
        contrast: of the map of "the first rather than the second" with the more similar of these two.
    """

    classes: float
    contrast: float


def class_dependence(
    explain: Contrast, image: Image, heatmap: Heatmap, first: int, second: int
) -> ClassDependence:
    """Compare the maps of two classes; two maps that are zero everywhere are the same.

    Args:
        explain: the method; called twice.
        image: uint8 (S, S, 3).
        heatmap: the map of the first class.
        first: a class.
        second: another class.
    """
    of_second = explain(image, second, None)
    rather = explain(image, first, second)
    return ClassDependence(
        classes=map_agreement(heatmap, of_second),
        contrast=max(map_agreement(rather, one) for one in (heatmap, of_second)),
    )
