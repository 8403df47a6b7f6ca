"""Whether a round's model is accepted: by the clinics' securely summed counts of its validation.

A robust rule bounds what hostile clinics do, and bears so many of them. Where they are more, or the rule's
groups fall out badly, the model gets worse at once: then the round is rolled back to the model before it.

The counts are one sum over all clinics, of whom a hostile one can lie here too: it can have rounds rolled
back, or keep one that should be. So it can stop a run's progress, for all to see, and not make the model
worse than the rule lets it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from dermafed.server.rounds.history import HistoryRow
from dermafed.shared.protocol.robust_settings import MARGIN


def setback(row: HistoryRow, before: Sequence[HistoryRow]) -> str:
    """Why a round is not accepted, in words; empty if it is, or there is nothing to compare it with.

    Args:
        row: the round.
        before: the rounds before it.
    """
    accepted = [
        one for one in before if not one.rolled_back and not math.isnan(one.validation_balanced_accuracy)
    ]
    if not accepted or math.isnan(row.validation_balanced_accuracy):
        return ""
    now, last = row.validation_balanced_accuracy, accepted[-1]
    if now >= last.validation_balanced_accuracy - MARGIN:
        return ""
    return (
        f"its balanced accuracy was {now:.3f}, and that of the model of round {last.round}, which stays, "
        f"is {last.validation_balanced_accuracy:.3f}"
    )
