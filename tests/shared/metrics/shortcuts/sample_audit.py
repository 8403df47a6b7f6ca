"""The sums of an audit of drawn lesions."""

from __future__ import annotations

import numpy as np

from dermafed.shared.artefacts.artefacts import CHANGES
from dermafed.shared.metrics.shortcuts.answers import Answers
from dermafed.shared.metrics.shortcuts.shortcut_sums import ShortcutSums


def sample_sums(seed: int = 0, lesions: int = 60) -> ShortcutSums:
    """Of a clinic of so many lesions, a third of them melanomas."""
    rng = np.random.default_rng(seed)
    truth = np.arange(lesions) % 3 == 0
    scores = rng.normal(truth * 2.0 - 1, 1)
    changed = [scores + rng.normal(0.2, 0.5, lesions) for _ in CHANGES]
    return ShortcutSums.of(truth, Answers(scores > 0, scores), [Answers(own > 0, own) for own in changed])
