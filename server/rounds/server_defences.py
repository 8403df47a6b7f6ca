"""The defences of a run, as its server takes part in them."""

from __future__ import annotations

from dataclasses import dataclass

from dermafed.server.rounds.ledger_heads import LedgerHeads
from dermafed.server.rounds.private_steps import PrivateSteps
from dermafed.shared.protocol.robust_settings import NO_RULE, RobustSettings
from dermafed.shared.protocol.summed import Summing


@dataclass(frozen=True, kw_only=True)
class ServerDefences:
    """What protects the model from clinics, and clinics and patients from the server.

    Attributes:
        robust: the rule in place of the mean, if there is one.
        summing: what the clinics approved of secure sums, by which the server learns no clinic's own values;
            ``None``: it sees what each of them sends.
        steps: how the clinics' gradients become steps, where each round is a private one.
        ledgers: what was seen of the clinics' ledgers, in a run with differential privacy; ``None``: there is
            none, or the clinics are simulated.
        scores: whether evaluations have histograms and a loss, as without differential privacy.
    """

    robust: RobustSettings = NO_RULE
    summing: Summing | None = None
    steps: PrivateSteps | None = None
    ledgers: LedgerHeads | None = None
    scores: bool = True


UNDEFENDED = ServerDefences()
"""The mean of what each clinic sends, after the screening that every run has."""
