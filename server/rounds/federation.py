"""What stays the same over the rounds of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dermafed.server.rounds.coding import Coding
from dermafed.server.rounds.held_classes import HeldClasses
from dermafed.server.rounds.ledger_heads import LedgerHeads
from dermafed.server.rounds.private_steps import PrivateSteps
from dermafed.server.rounds.round_rules import RoundRules
from dermafed.server.rounds.screening import Screen
from dermafed.server.rounds.secure_sums import SecureSums
from dermafed.server.rounds.shares import Member
from dermafed.server.rounds.strategies import Strategy
from dermafed.shared.compression.selection import Selection
from dermafed.shared.protocol.robust_settings import NO_RULE, RobustSettings


@dataclass(frozen=True)
class Federation:
    """What stays the same over the rounds of a run.

    Attributes:
        strategy: the server's step.
        rules: quorum, deadline and the other rules of a round.
        classes: number of classes C of the model.
        adapted: bool (P,), the weights that the strategy's step changes; the others become the clinics' mean,
            as running statistics must. ``None``: all.
        screen: how the clinics' updates are screened.
        folder: where the updates of a round wait for each other.
        members: the clinics by the agreement; ``None``: there was none.
        held: which clinics have which class, where the last layer's columns are averaged by class.
        melanoma: index of that class; ``None`` where the model has none.
        robust: the rule in place of the mean, if the plan has one.
        sums: the run's secure sums, where the server sees no clinic's own values; ``None``: it does.
        steps: how the clinics' gradients become steps, where each round is a private one.
        ledgers: what was seen of the clinics' ledgers, in a run with differential privacy.
        scores: whether evaluations have histograms and a loss, as without differential privacy.
        coding: what of the weights travels, where not all do in full; ``None``: all do.
    """

    strategy: Strategy
    rules: RoundRules
    classes: int
    adapted: NDArray[np.bool_] | None
    screen: Screen
    folder: Path
    members: Mapping[str, Member] | None = None
    held: HeldClasses | None = None
    melanoma: int | None = None
    robust: RobustSettings = NO_RULE
    sums: SecureSums | None = None
    steps: PrivateSteps | None = None
    ledgers: LedgerHeads | None = None
    scores: bool = True
    coding: Coding | None = None

    @property
    def selection(self) -> Selection | None:
        """What of the weights travels, and which of them in few bits."""
        return self.coding.selection if self.coding is not None else None

    @property
    def rolls_back(self) -> bool:
        """Whether a round that makes the model much worse is rolled back (:mod:`.acceptance`)."""
        return self.robust.active and self.sums is not None

    @property
    def counts_on_clinics(self) -> bool:
        """Whether clinics count what they answer, so that a round is trained and evaluated once."""
        return self.members is not None or self.sums is not None
