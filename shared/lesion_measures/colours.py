"""Which of the six colours of the ABCD rule a lesion shows, and how much of it.

References:
    Stolz et al., *ABCD rule of dermatoscopy*, European Journal of Dermatology 4 (1994): C, the six colours;
    white counts only where it is lighter than the skin around.
    Kelly and Judd, *Color: Universal Language and Dictionary of Names*, National Bureau of Standards, special
    publication 440 (1976): what a colour's name means, as a block of Munsell's solid.
    Kelly, *Central notations for the revised ISCC-NBS color-name blocks*, Journal of Research of the National
    Bureau of Standards 61 (1958): the centres of these blocks.
    Jaffer, *Color-Name Dictionaries*, "NBS/ISCC Centroids": the centres in sRGB that are taken here. Those of
    Centore, *sRGB centroids for the ISCC-NBS colour system* (2016), averaged in sRGB, differ somewhat.
    Seidenari, Pellacani and Grana, British Journal of Dermatology 149 (2003): a palette of the six colours,
    taken from images of the authors' own camera, correlated with clinicians' counts (0.78). Ours has not been
    compared with clinicians.
"""

from __future__ import annotations

import cv2
import numpy as np

from dermafed.shared.lesion_measures.patch import DIAMETER, Float, Patch, smooth, to_lab

REFERENCES = {
    "white": (0xF2, 0xF3, 0xF4),
    "red": (0xAB, 0x4E, 0x52),  # "moderate red"
    "light brown": (0xA6, 0x7B, 0x5B),
    "dark brown": (0x42, 0x25, 0x18),
    "blue-grey": (0x53, 0x68, 0x78),  # "grayish blue"
    "black": (0x22, 0x22, 0x22),
}
"""sRGB of the centres, as Jaffer gives them: the blocks "white", "moderate red", "light brown", "dark brown",
"grayish blue" and "black"."""

PRESENT = 0.05
"""A colour is shown by a lesion from this share of its area on. The rule gives no share; this is our own."""

_BLUR = 0.01  # of the diameter
_RING = (0.06, 0.2)  # of the diameter from the border: the skin
_ENOUGH = 100  # pixels of skin


def measure_colours(patch: Patch) -> dict[str, float]:
    """The share of the lesion that has each colour.

    A pixel has the colour whose reference is nearest in CIELAB (CIE 1976 difference); one that is nearer to
    the skin around the lesion than to all six has none, and so has white that is not lighter than that skin.

    Returns:
        The share of each of the six colours, in the order of ``REFERENCES``; the rest of 1 has none.
    """
    lab, inside = smooth(patch.lab, _BLUR * DIAMETER), (patch.lesion > 0.5) & patch.seen
    pixels, skin = lab[inside], _skin(patch, lab)
    references = to_lab(np.array(list(REFERENCES.values()), np.float32))
    if skin is not None:
        references = np.vstack([references, skin])
    nearest = np.linalg.norm(pixels[:, None] - references[None], axis=2).argmin(1)
    if skin is not None:
        nearest[(nearest == 0) & (pixels[:, 0] <= skin[0])] = len(REFERENCES)
    counts = np.bincount(nearest, minlength=len(REFERENCES))[: len(REFERENCES)]
    return dict(zip(REFERENCES, (counts / max(1, len(pixels))).tolist(), strict=True))


def shown_colours(shares: dict[str, float]) -> list[str]:
    """The colours of :func:`measure_colours` that make up at least ``PRESENT`` of the lesion."""
    return [name for name, share in shares.items() if share >= PRESENT]


def _skin(patch: Patch, lab: Float) -> Float | None:
    """The median colour of the ring of skin around the lesion, (3,); ``None`` where there is hardly any."""
    away = cv2.distanceTransform((patch.lesion < 0.5).astype(np.uint8), cv2.DIST_L2, 5)
    ring = (away > _RING[0] * DIAMETER) & (away < _RING[1] * DIAMETER) & patch.seen
    return np.asarray(np.median(lab[ring], 0), np.float32) if ring.sum() >= _ENOUGH else None
