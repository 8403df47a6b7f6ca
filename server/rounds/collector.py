"""What combines the replies to one message."""

from __future__ import annotations

from typing import Protocol, TypeVar

from flwr.app import RecordDict

Outcome = TypeVar("Outcome", covariant=True)


class Collector(Protocol[Outcome]):
    """Combines the replies to one message."""

    def accept(self, clinic: str, content: RecordDict) -> float:
        """Accept one reply.

        Args:
            clinic: who sent it.
            content: nothing in it is trusted.

        Returns:
            The seconds of work that the clinic reports.

        Raises:
            FederationError: the reply is refused; nothing of it was added.
        """
        ...

    def compare(self) -> dict[str, str]:
        """Compare the accepted replies: the clinics that are left out after all, each with the reason."""
        ...

    def result(self) -> Outcome:
        """The result of the replies that were accepted and compared, of which there is at least one."""
        ...
