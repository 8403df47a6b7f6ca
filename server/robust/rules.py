"""What a plan's rule makes of the steps of a round, which come in blocks of coordinates from the disk.

Memory: one block, and a sketch of 32 kB a clinic. Flower's strategies have some of these rules, but hold all
updates in memory, count Krum's distances by float32 products, and look at no update before they average it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dermafed.server.robust.coordinates import median, trimmed_mean
from dermafed.server.robust.selection import centred_clipping, geometric_median, krum, lower_median
from dermafed.server.robust.sketch import Floats, Sketches
from dermafed.server.robust.steps import Steps
from dermafed.shared.protocol.robust_settings import Rule


@dataclass(frozen=True)
class Combined:
    """What a rule made of a round.

    Attributes:
        step: the step of the model, float64 (P,).
        shares: each clinic's coefficient in it, (n,); NaN where a rule has another at each weight.
        distances: how far each clinic's step is from it, as a multiple of the lower median, (n,); 0 where
            that is 0.
    """

    step: Floats
    shares: Floats
    distances: Floats


def combine(rule: Rule, hostile: int, steps: Steps, seed: bytes) -> Combined:
    """Combine the steps of a round. Every clinic counts the same: what it says of its images is its own word.

    Args:
        rule: any but ``none``; ``norm-bound`` is the mean, of steps that are bounded already.
        hostile: how many of these clinics may be hostile.
        steps: of n clinics.
        seed: of the sketches, by which distances are measured.
    """
    sketches = Sketches(steps.clinics, steps.parameters, seed)
    for start, values in steps.blocks():
        sketches.add(start, values * steps.scales(start, values.shape[1]))
    shares = _shares(rule, hostile, sketches.values)
    centre, parts = Sketches(1, steps.parameters, seed), []
    for start, values in steps.blocks():
        parts.append(_combined(rule, hostile, values, shares))
        centre.add(start, parts[-1][None] * steps.scales(start, values.shape[1]))
    distances = np.linalg.norm(sketches.values - centre.values, axis=1)
    usual = lower_median(distances)
    return Combined(np.concatenate(parts), shares, distances / usual if usual else np.zeros(steps.clinics))


def _shares(rule: Rule, hostile: int, sketches: Floats) -> Floats:
    """Each clinic's coefficient in the combined step, (n,)."""
    clinics = len(sketches)
    match rule:
        case "krum":
            return krum(sketches, hostile)
        case "geometric-median":
            return geometric_median(sketches)
        case "centred-clipping":
            return centred_clipping(sketches)
        case "norm-bound":
            return np.full(clinics, 1 / clinics, np.float64)
        case _:
            return np.full(clinics, np.nan, np.float64)


def _combined(rule: Rule, hostile: int, values: Floats, shares: Floats) -> Floats:
    """The combined step of one block, (B,)."""
    if rule == "median":
        return median(values)
    if rule == "trimmed-mean":
        return trimmed_mean(values, hostile)
    found: Floats = shares @ values
    return found
