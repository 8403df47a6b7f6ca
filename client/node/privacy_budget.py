"""What a clinic allows to be spent of each patient over all runs: ``[privacy]`` in ``clinic.toml``."""

from __future__ import annotations

from typing import ClassVar

from pydantic.dataclasses import dataclass

from dermafed.client.node.ledger import Budget
from dermafed.shared.privacy.dp_settings import Delta, Epsilon
from dermafed.shared.settings import STRICT, Settings


@dataclass(frozen=True, config=STRICT)
class BudgetSettings(Settings):
    """The budget; without the table, these defaults.

    Attributes:
        epsilon: of each patient, over all runs with differential privacy.
        delta: of each patient.
    """

    section: ClassVar[str] = "privacy"

    epsilon: Epsilon = 10.0
    delta: Delta = 1e-5

    @property
    def budget(self) -> Budget:
        """The same for the ledger."""
        return Budget(self.epsilon, self.delta)
