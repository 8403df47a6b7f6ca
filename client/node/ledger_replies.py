"""The ledger in the messages of a run with differential privacy: what the server saw of it, and its head."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from flwr.app import RecordDict

from dermafed.client.node.home import Home
from dermafed.client.node.ledger import START, Ledger
from dermafed.client.node.replying import NotApproved
from dermafed.shared.protocol.ledger_messages import (
    LEDGER,
    LEDGERS,
    LedgerHead,
    head_in,
    load_signing_key,
    without,
)
from dermafed.shared.protocol.node_key import fingerprint, read_public_key


class LedgerSetBack(NotApproved):
    """The ledger lacks what the clinic has released already."""


@dataclass(frozen=True)
class LedgerReplies:
    """What a clinic does with its ledger before and after it answers.

    Attributes:
        home: the clinic's folder.
    """

    home: Home

    def answer(self, content: RecordDict, work: Callable[[RecordDict], RecordDict]) -> RecordDict:
        """The reply to a message, with the ledger's head.

        Args:
            content: of the server's message.
            work: makes the reply to the message without what the server saw of ledgers.

        Raises:
            LedgerSetBack: see :meth:`check`.
        """
        self.check(content)
        return self.with_head(work(without(content, LEDGERS)))

    def check(self, content: RecordDict) -> None:
        """Refuse to release anything by a ledger that was set back.

        Args:
            content: of the server's message.

        Raises:
            LedgerSetBack: the last head that the server saw is not in it.
            StorageError: it cannot be read.
        """
        seen = head_in(content, fingerprint(read_public_key(self.home.public_key)))
        if seen is not None and seen not in (START, *self._digests()):
            raise LedgerSetBack(
                "The ledger of privacy is older than what this clinic has sent: was a backup restored?",
                where=self.home.ledger,
                remedy="Put the newest copy back; without it, no private run goes on here",
            )

    def with_head(self, reply: RecordDict) -> RecordDict:
        """A reply's content with the ledger's signed head."""
        head, key = LedgerHead.of(self._digests()), load_signing_key(self.home.key.read_bytes())
        return RecordDict({**reply, LEDGER: head.signed(reply, key)})

    def _digests(self) -> list[str]:
        return [entry.digest for entry in Ledger(self.home.ledger).entries()]
