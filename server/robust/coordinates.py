"""Rules for each weight of the model by itself: the median and the trimmed mean (Yin et al. 2018).

Algorithm 1 of Yin et al. 2018, https://arxiv.org/abs/1803.01498. Both take steps (n, B) and return (B,). With
at most f of n >= 2 f + 1 values hostile, each result lies between two honest values.
"""

from __future__ import annotations

import numpy as np

from dermafed.server.robust.sketch import Floats


def median(steps: Floats) -> Floats:
    """The median of each weight."""
    found: Floats = np.median(steps, axis=0)
    return found


def trimmed_mean(steps: Floats, hostile: int) -> Floats:
    """The mean of each weight without its f lowest and its f highest values.

    Args:
        steps: (n, B), n of at least 2 f + 1.
        hostile: f.
    """
    found: Floats = np.sort(steps, axis=0)[hostile : len(steps) - hostile].mean(axis=0)
    return found
