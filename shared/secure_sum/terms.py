"""The terms of a plan's sums, as a clinic approved them: nothing that a server says changes them."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from dermafed.shared.errors import FederationError
from dermafed.shared.secure_sum.context import KeyContext, Task
from dermafed.shared.secure_sum.fixed_point import Layout
from dermafed.shared.secure_sum.graph import needs_seed
from dermafed.shared.secure_sum.roster import Roster
from dermafed.shared.secure_sum.thresholds import MOST_ATTEMPTS, least_cohort

_DIFFERS = {
    "plan": "is of another plan than the one that was approved here",
    "run": "is of another run than the request",
    "round": "is of another round than the request",
    "label": "is for other values than those that the request asks for",
    "model": "names another model than the one that the server sent",
    "roster": "has another roster of clinics than the one that was approved here",
    "threshold": "has another threshold than the roster's",
    "codec": "encodes the values otherwise than this clinic",
}


@dataclass(frozen=True)
class Terms:
    """What the two sides of a plan's sums have agreed on.

    Attributes:
        plan: SHA-256 of the plan, hexadecimal.
        roster: the clinics and their keys.
        colluders: how many of them may act with the server.
        layout: what is summed, and how it is encoded.
        groups: over how many groups there is a sum of its own (:mod:`.groups`); 1: one over all.

    Raises:
        SettingsError: a secure sum of these clinics is impossible.
    """

    plan: str
    roster: Roster
    colluders: int
    layout: Layout
    groups: int = 1

    def __post_init__(self) -> None:
        least_cohort(len(self.roster), self.colluders, self.groups)

    @property
    def threshold(self) -> int:
        """How many clinics must take part; without groups, also be in the sum, and agree on who is."""
        return least_cohort(len(self.roster), self.colluders, self.groups)

    @property
    def draws_graph(self) -> bool:
        """Whether each clinic shares masks with some of the others only."""
        return self.groups > 1 or needs_seed(len(self.roster), self.colluders)

    @property
    def drawing(self) -> int:
        """How many of the clinics draw the seed of the graph, the first that sent keys: :mod:`.reveals`."""
        return len(self.roster) if self.groups > 1 else self.colluders + 1

    def context(self, task: Task, attempt: int) -> KeyContext:
        """The key context of an attempt."""
        return KeyContext(
            **asdict(task),
            plan=self.plan,
            attempt=attempt,
            roster=self.roster.fingerprint,
            threshold=self.threshold,
            codec=self.layout.codec,
        )

    def check(self, context: KeyContext, task: Task) -> None:
        """Compare the server's context with these terms and with what the server has asked for.

        Raises:
            FederationError: they differ, or it is one attempt too many.
        """
        mine = self.context(task, context.attempt)
        for name, why in _DIFFERS.items():
            if getattr(mine, name) != getattr(context, name):
                raise _refused(f"The secure sum {why}")
        if not 1 <= context.attempt <= MOST_ATTEMPTS:
            raise _refused(f"The secure sum is attempt {context.attempt} of {MOST_ATTEMPTS}")


def _refused(what: str) -> FederationError:
    return FederationError(
        what,
        where="secure sum",
        remedy="Nothing was sent; ask the coordinator what changed, and approve the new plan or refuse it",
    )
