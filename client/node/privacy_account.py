"""What a run with differential privacy debits at a clinic before it releases anything."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from dermafed.client.node.ledger import Budget, Charge, Ledger, What
from dermafed.shared.privacy.accountant import Mechanism


class Account(Protocol):
    """Debits the releases of one run."""

    def debit(self, what: What, round: int, mechanism: Mechanism) -> None:
        """Debit a release, before it is computed.

        Raises:
            BudgetSpent: there is not enough left.
            StorageError: it cannot be written down.
        """


@dataclass(frozen=True)
class RunAccount:
    """The account of a run in the clinic's ledger.

    Attributes:
        ledger: the clinic's.
        plan: the offer's SHA-256.
        name: the run's name.
        of_plan: what the plan allows, over all of its runs and repeated rounds.
        of_clinic: reads what the clinic allows over all plans, as it is now.
    """

    ledger: Ledger
    plan: str
    name: str
    of_plan: Budget
    of_clinic: Callable[[], Budget]

    def debit(self, what: What, round: int, mechanism: Mechanism) -> None:
        """See :class:`Account`."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        cost = (mechanism.noise, mechanism.rate, mechanism.times)
        charge = Charge(self.plan, self.name, round, what, *cost, now)
        self.ledger.debit(charge, self.of_plan, self.of_clinic())


@dataclass(frozen=True)
class SimulatedAccount:
    """The account of a simulated clinic, which releases nothing to anybody: it debits nothing."""

    def debit(self, what: What, round: int, mechanism: Mechanism) -> None:
        """See :class:`Account`."""
