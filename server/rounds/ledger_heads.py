"""The last head of each clinic's ledger of privacy that the server saw: over all runs, in a file.

A clinic whose next head is not after it has restored a backup, by mistake or not, and counts again what its
patients have spent already.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from flwr.app import RecordDict
from flwr.serverapp import Grid

from dermafed.server.rounds.exchange import Accept, Assignment, Participation, exchange
from dermafed.shared.errors import FederationError, StorageError
from dermafed.shared.protocol.ledger_messages import LEDGER, LedgerHead, decode_head, with_heads, without
from dermafed.shared.protocol.node_key import fingerprint
from dermafed.shared.storage.atomic_files import write_private

log = logging.getLogger("dermafed.server")


@dataclass(frozen=True)
class LedgerHeads:
    """The heads that the server saw.

    Attributes:
        path: their file.
        keys: each clinic's public key in OpenSSH's format, by name.
    """

    path: Path
    keys: Mapping[str, str]

    def told(self, content: RecordDict) -> RecordDict:
        """A message's content with them, so that a clinic notices itself if it was set back."""
        heads = {name: head for name, (_, head) in self._load().items() if name in self.keys}
        return with_heads(content, {fingerprint(self.keys[name]): head for name, head in heads.items()})

    def checked(self, clinic: str, content: RecordDict) -> RecordDict:
        """A reply's content without its head, which is checked and saved.

        Raises:
            FederationError: it is missing, not signed by the clinic, or not after the one before.
            StorageError: the file cannot be read or written.
        """
        (head, signature), reply = decode_head(content), without(content, LEDGER)
        if clinic not in self.keys:
            raise FederationError("its key is not known")
        head.verify(reply, signature, self.keys[clinic])
        heads = self._load()
        if clinic in heads:
            _refuse_older(clinic, head, *heads[clinic])
        heads[clinic] = head.entries, head.digests[-1]
        write_private(self.path, json.dumps(heads, indent=2, sort_keys=True).encode())
        return reply

    def _load(self) -> dict[str, tuple[int, str]]:
        if not self.path.exists():
            return {}
        try:
            found = json.loads(self.path.read_text("utf-8"))
            return {str(name): (int(entries), str(digest)) for name, (entries, digest) in found.items()}
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise StorageError(
                "The heads of the clinics' ledgers cannot be read",
                where=self.path,
                remedy="Restore the file from your backup: by it, a ledger that is set back is noticed",
            ) from error


def exchange_watched(
    ledgers: LedgerHeads | None,
    grid: Grid,
    assignment: Assignment,
    clinics: Mapping[int, str],
    deadline: float,
    accept: Accept,
) -> Participation:
    """An exchange, with a look at the clinics' ledgers where these count what patients spend."""
    if ledgers is None:
        return exchange(grid, assignment, clinics, deadline, accept)
    told = replace(assignment, content=ledgers.told(assignment.content))

    def accept_checked(clinic: str, content: RecordDict) -> float:
        return accept(clinic, ledgers.checked(clinic, content))

    return exchange(grid, told, clinics, deadline, accept_checked)


def _refuse_older(clinic: str, head: LedgerHead, entries: int, digest: str) -> None:
    after, shown = head.entries - entries, len(head.digests)
    if after >= shown:
        log.warning("%s: of %d new entries of its ledger only %d were shown", clinic, after, shown)
    elif after < 0 or head.digests[-1 - after] != digest:
        raise FederationError(
            f"its ledger of privacy was set back: it has {head.entries} entries, and had {entries} others"
        )
