"""Dermoscopic criteria: how often, and how strongly, each class shows each of them.

The rules use the terms of the International Dermoscopy Society (Kittler et al. 2016) and weigh them as
pattern analysis and the ABCD rule (Stolz et al. 1994) do: a melanoma is asymmetric in shape and colour,
with an irregular border, many colours, atypical network, dots, streaks and a blue-white veil; a nevus is
symmetric, one or two browns, with regular network or globules and a fading border; a seborrheic keratosis
looks stuck on: sharp border, waxy, with milia-like cysts, comedo-like openings and fissures.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from dermafed.shared.lesions.record import PAPER_CLASSES

# Share of criteria that a lesion takes from the rules of any class: every rule of dermoscopy has exceptions.
AMBIGUITY = 0.02


@dataclass(frozen=True)
class Criteria:
    """The criteria of one lesion, from 0 (absent) to 1 (strongest) unless noted.

    Attributes:
        radius: mean radius, in half fields of view.
        elongation: long axis over short axis, from 1.
        irregularity: raggedness of the border.
        asymmetry: weight of one-sided lobes in the outline.
        fade: width of the border's transition to skin, as a share of the radius.
        melanin: brown pigment, as optical density.
        blood: redness, as optical density.
        mottle: unevenness of the pigment.
        network: pigment network.
        disorder: how atypical the network is.
        globules: round brown clods.
        dots: small black dots, irregularly placed.
        streaks: pigmented spikes at the edge.
        blotches: dark, off-centre areas.
        core: a darker centre.
        veil: blue-white veil.
        regression: white, scar-like areas.
        milky_red: pink, structureless areas.
        wax: yellow-grey, waxy scale.
        milia: milia-like cysts (white dots).
        comedones: comedo-like openings (brown plugs).
        fissures: brain-like furrows.
    """

    radius: float
    elongation: float
    irregularity: float
    asymmetry: float
    fade: float
    melanin: float
    blood: float
    mottle: float
    network: float
    disorder: float
    globules: float
    dots: float
    streaks: float
    blotches: float
    core: float
    veil: float
    regression: float
    milky_red: float
    wax: float
    milia: float
    comedones: float
    fissures: float


@dataclass(frozen=True)
class _Rule:
    """A criterion is present with a probability, then uniform between two strengths."""

    low: float
    high: float
    probability: float = 1.0

    def draw(self, rng: np.random.Generator) -> float:
        present, strength = rng.random() < self.probability, rng.uniform(self.low, self.high)
        return float(strength) if present else 0.0


_ABSENT = _Rule(0, 0)

_MELANOMA = {
    "radius": _Rule(0.42, 0.85),
    "elongation": _Rule(1.0, 1.6),
    "irregularity": _Rule(0.11, 0.22),
    "asymmetry": _Rule(0.18, 0.40),
    "fade": _Rule(0.14, 0.5),
    "melanin": _Rule(0.6, 2.2),
    "blood": _Rule(0.1, 0.5),
    "mottle": _Rule(0.5, 1.0),
    "network": _Rule(0.3, 0.9, 0.6),
    "disorder": _Rule(0.5, 1.0),
    "globules": _Rule(0.2, 0.8, 0.3),
    "dots": _Rule(0.4, 1.0, 0.6),
    "streaks": _Rule(0.4, 1.0, 0.4),
    "blotches": _Rule(0.5, 1.0, 0.9),
    "core": _ABSENT,
    "veil": _Rule(0.5, 1.0, 0.75),
    "regression": _Rule(0.5, 1.0, 0.5),
    "milky_red": _Rule(0.5, 1.0, 0.5),
    "wax": _ABSENT,
    "milia": _Rule(0.1, 0.3, 0.06),
    "comedones": _ABSENT,
    "fissures": _ABSENT,
}

_NEVUS = {
    "radius": _Rule(0.28, 0.68),
    "elongation": _Rule(1.0, 1.5),
    "irregularity": _Rule(0.05, 0.12),
    "asymmetry": _Rule(0.0, 0.09),
    "fade": _Rule(0.3, 0.7),
    "melanin": _Rule(0.6, 1.8),
    "blood": _Rule(0.0, 0.55),
    "mottle": _Rule(0.3, 0.7),
    "network": _Rule(0.3, 0.9, 0.6),
    "disorder": _Rule(0.0, 0.35),
    "globules": _Rule(0.3, 0.9, 0.4),
    "dots": _Rule(0.1, 0.4, 0.12),
    "streaks": _Rule(0.2, 0.5, 0.05),
    "blotches": _Rule(0.2, 0.5, 0.1),
    "core": _Rule(0.3, 1.0, 0.55),
    "veil": _Rule(0.1, 0.4, 0.05),
    "regression": _Rule(0.2, 0.5, 0.06),
    "milky_red": _Rule(0.2, 0.5, 0.1),
    "wax": _ABSENT,
    "milia": _Rule(0.1, 0.3, 0.04),
    "comedones": _ABSENT,
    "fissures": _ABSENT,
}

_KERATOSIS = {
    "radius": _Rule(0.35, 0.82),
    "elongation": _Rule(1.0, 1.5),
    "irregularity": _Rule(0.05, 0.13),
    "asymmetry": _Rule(0.03, 0.22),
    "fade": _Rule(0.08, 0.22),
    "melanin": _Rule(0.25, 1.0),
    "blood": _Rule(0.0, 0.35),
    "mottle": _Rule(0.4, 0.9),
    "network": _Rule(0.1, 0.4, 0.1),
    "disorder": _Rule(0.0, 0.8),
    "globules": _Rule(0.2, 0.5, 0.1),
    "dots": _Rule(0.1, 0.4, 0.1),
    "streaks": _ABSENT,
    "blotches": _Rule(0.2, 0.7, 0.25),
    "core": _Rule(0.2, 0.5, 0.1),
    "veil": _Rule(0.1, 0.4, 0.12),
    "regression": _Rule(0.2, 0.5, 0.1),
    "milky_red": _Rule(0.2, 0.5, 0.12),
    "wax": _Rule(0.45, 1.0, 0.93),
    "milia": _Rule(0.4, 1.0, 0.75),
    "comedones": _Rule(0.3, 1.0, 0.65),
    "fissures": _Rule(0.3, 1.0, 0.45),
}

_RULES: Mapping[str, Mapping[str, _Rule]] = dict(
    zip(PAPER_CLASSES, (_MELANOMA, _NEVUS, _KERATOSIS), strict=True)
)


def draw_criteria(diagnosis: str, rng: np.random.Generator) -> Criteria:
    """A lesion of this diagnosis, with :data:`AMBIGUITY` of its criteria taken from any class's rules.

    Args:
        diagnosis: one of :data:`dermafed.shared.lesions.record.PAPER_CLASSES`.
        rng: the random generator.
    """
    drawn = {}
    for name, rule in _RULES[diagnosis].items():
        other = PAPER_CLASSES[rng.integers(len(PAPER_CLASSES))]
        borrowed = rng.random() < AMBIGUITY
        drawn[name] = (_RULES[other][name] if borrowed else rule).draw(rng)
    return Criteria(**drawn)
