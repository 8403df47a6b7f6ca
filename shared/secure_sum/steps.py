"""The order of the steps: each is taken once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum

from dermafed.shared.secure_sum.session import refused


class Step(IntEnum):
    """The steps of one attempt."""

    KEYS = 1
    REVEAL = 2
    SHARES = 3
    MASKED_VECTOR = 4
    SURVIVORS = 5
    RELEASE = 6
    DONE = 7


class Steps:
    """Where one side stands."""

    def __init__(self) -> None:
        self.next = Step.KEYS

    @contextmanager
    def take(self, step: Step, following: Step) -> Iterator[None]:
        """Take the next step; where it fails, the attempt is over.

        Raises:
            FederationError: it is not the next one: it comes too early, too late, or a second time.
        """
        self.check(step)
        self.next = Step.DONE
        yield
        self.next = following

    def check(self, step: Step) -> None:
        """Refuse what is not the next step.

        Raises:
            FederationError: see :meth:`take`.
        """
        if step is not self.next:
            asked, due = (each.name.lower().replace("_", " ") for each in (step, self.next))
            raise refused(
                f"The step '{asked}' is asked for where '{due}' is due",
                "Each step of a secure sum is taken once, in order: begin the next attempt",
            )
