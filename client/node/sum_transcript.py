"""The transcript of a clinic's part in secure sums: what it was sent and what it sent, step by step.

A file for each attempt, in the offer's folder, from which :mod:`.sum_replay` checks the attempt again. It has
no secret: of what is sealed, masked or released only length and SHA-256, and of a model its SHA-256.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dermafed.shared.errors import StorageError
from dermafed.shared.protocol.sum_messages import (
    SUM_KEYS,
    SUM_PARTS,
    SUM_RELEASE,
    SUM_SHARES,
    SUM_SURVIVORS,
    SumAttempt,
)
from dermafed.shared.secure_sum.released_shares import ReleasedShares, Secret
from dermafed.shared.secure_sum.thresholds import MOST_ATTEMPTS
from dermafed.shared.storage.atomic_files import make_private_folder, write_private

_RECEIVED = (SUM_KEYS, SUM_PARTS, SUM_SHARES, SUM_SURVIVORS, SUM_RELEASE)
_SENT = (SUM_KEYS, SUM_PARTS, SUM_SURVIVORS)
"""The types of the messages whose content is public, and kept."""

_MOST_STEPS = 16
"""Of an attempt; there are six, and some that are refused."""


@dataclass(frozen=True)
class Piece:
    """A message of the protocol.

    Attributes:
        size: its length.
        sha256: SHA-256 of it, hexadecimal.
        content: base64 of it, if it has no secret of a clinic's.
    """

    size: int
    sha256: str
    content: str = ""

    @classmethod
    def of(cls, message: bytes, *, kept: bool) -> Piece:
        """Of a message, with its content or without."""
        content = base64.b64encode(message).decode() if kept else ""
        return cls(len(message), hashlib.sha256(message).hexdigest(), content)

    @property
    def message(self) -> bytes:
        """The content."""
        return base64.b64decode(self.content)


@dataclass(frozen=True)
class Taken:
    """A step that was taken, or refused.

    Attributes:
        kind: the type of the server's message.
        received: the server's message.
        sent: the clinic's; of no length where it refused, or had nothing to send.
        refused: why it refused; empty where it did not.
        more: what else is known; see :class:`.clinic_sums.ClinicSums`.
        time: ISO 8601, UTC.
    """

    kind: str
    received: Piece
    sent: Piece
    refused: str = ""
    more: Mapping[str, Any] = field(default_factory=dict)
    time: str = ""


@dataclass(frozen=True)
class SumTranscripts:
    """The transcripts of a plan.

    Attributes:
        folder: holds a file for each attempt; it need not exist yet.
    """

    folder: Path

    def add(
        self,
        of: SumAttempt,
        kind: str,
        received: bytes,
        sent: bytes = b"",
        *,
        refused: str = "",
        more: Mapping[str, Any] | None = None,
    ) -> None:
        """Write a step down, which is on the disk when this returns; of what is refused a few only.

        Raises:
            StorageError: it cannot be written; then nothing may be sent.
        """
        steps = self.load(of.label, of.round, of.attempt)
        if refused and (len(steps) >= _MOST_STEPS or of.attempt > MOST_ATTEMPTS):
            return  # a server may ask as often as it likes
        released = _released(sent) if kind == SUM_RELEASE and sent else {}
        taken = Taken(
            kind,
            Piece.of(received, kept=kind in _RECEIVED and not refused),
            Piece.of(sent, kept=kind in _SENT),
            refused,
            {**released, **(more or {})},
            datetime.now(UTC).isoformat(timespec="seconds"),
        )
        make_private_folder(self.folder)
        text = json.dumps([asdict(step) for step in (*steps, taken)])
        write_private(self._path(of.label, of.round, of.attempt), text.encode())

    def attempts(self, label: str, round: int) -> list[int]:
        """The numbers of the attempts at a sum that this clinic took part in, ascending."""
        paths = self.folder.glob(f"{label}-{round}-*.json")
        return sorted(int(path.stem.rpartition("-")[2]) for path in paths)

    def load(self, label: str, round: int, attempt: int) -> list[Taken]:
        """The steps of an attempt; none where it took no part.

        Raises:
            StorageError: the file cannot be read.
        """
        path = self._path(label, round, attempt)
        if not path.exists():
            return []
        try:
            steps = json.loads(path.read_text("utf-8"))
            pieces = ("received", "sent")
            return [Taken(**{**step, **{name: Piece(**step[name]) for name in pieces}}) for step in steps]
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise StorageError(
                "The transcript of a secure sum cannot be read",
                where=path,
                remedy="Restore it from your backup; the rounds do not need it",
            ) from error

    def _path(self, label: str, round: int, attempt: int) -> Path:
        return self.folder / f"{label}-{round}-{attempt}.json"


def _released(sent: bytes) -> dict[str, list[int]]:
    """The places of the dealers of whom a share of either secret was released."""
    shares = ReleasedShares.from_bytes(sent).shares
    return {
        secret.name.lower(): [dealer for dealer, of, _ in shares if of is secret]
        for secret in (Secret.SELF_SEED, Secret.MASK_KEY)
    }
