"""The secure sums of a run: attempts with the connected clinics, until a sum is opened or cannot be."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from flwr.serverapp import Grid

from dermafed.server.rounds.connected import connected
from dermafed.server.rounds.ledger_heads import LedgerHeads
from dermafed.server.rounds.opened_sums import Asked, Opened
from dermafed.server.rounds.round_rules import RoundRules
from dermafed.server.rounds.sum_attempts import SumAttempts, SumLostError
from dermafed.server.rounds.sum_exchange import SumExchange
from dermafed.shared.errors import FederationError
from dermafed.shared.protocol.summed import Summing
from dermafed.shared.secure_sum.context import Task
from dermafed.shared.secure_sum.server_side import ServerSide

log = logging.getLogger("dermafed.server")


@dataclass(frozen=True)
class SecureSums:
    """The secure sums of a run.

    Attributes:
        summing: what the clinics approved.
        attempts: the attempts so far.
        rules: quorum, deadline and attempts.
        ledgers: what was seen of the clinics' ledgers, in a run with differential privacy.
    """

    summing: Summing
    attempts: SumAttempts
    rules: RoundRules
    ledgers: LedgerHeads | None = None

    def open(self, grid: Grid, asked: Asked, again: Asked | None = None) -> Opened:
        """Ask the connected clinics for a sum, and open it.

        Args:
            grid: Flower's connection to the clinics.
            asked: which.
            again: the same sum as it is asked for after an attempt without success; ``None``: as before.

        Raises:
            SumLostError: it can never be opened.
            FederationError: it was not, in as many attempts as the rules allow; a run that goes on later may.
        """
        for turn in range(self.rules.attempts):
            asked = again if turn and again else asked
            clinics = self._connected(grid)
            attempt = self.attempts.begin(asked.label, asked.round)
            terms = self.summing.terms(asked.label, asked.parameters, asked.coded)
            task = Task(grid.run.run_id, asked.round, asked.label, asked.model)
            exchanges = SumExchange(
                *(grid, self.rules, self.attempts, asked, ServerSide(terms, task, attempt), terms, clinics),
                ledgers=self.ledgers,
            )
            try:
                return exchanges.open()
            except FederationError as error:
                why = exchanges.lost(error)
                log.warning("Round %d, secure sum '%s': %s", asked.round, asked.label, why)
                if exchanges.sent_survivors:
                    raise SumLostError(why.what, where=why.where, remedy=why.remedy) from error
                last = why
        raise last

    def _connected(self, grid: Grid) -> dict[int, str]:
        """The connected clinics of the roster, if they are enough: no attempt is wasted on fewer."""
        names = self.summing.roster.names
        clinics = {node: name for node, name in connected(grid, self.rules).items() if name in names}
        if len(clinics) < self.rules.needed:
            raise FederationError(
                f"{len(clinics)} clinics are connected, of the {self.rules.needed} that a secure sum needs",
                where=", ".join(sorted(clinics.values())),
                remedy="Have the other clinics start their nodes, then resume the run",
            )
        return clinics
