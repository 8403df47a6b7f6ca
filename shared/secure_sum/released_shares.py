"""Step 5: of each peer one share, which opens either its own mask or its masks with others, never both."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple, Self

from dermafed.shared.secure_sum.packing import INDEX_BYTES, Kind, Unpacker, malformed, packed, packed_index
from dermafed.shared.secure_sum.shamir import SHARE_BYTES

_RECORD_BYTES = INDEX_BYTES + 1 + SHARE_BYTES


class Secret(IntEnum):
    """Which of a clinic's secrets is opened, with its number on the wire."""

    SELF_SEED = 0
    """Of a clinic that is in the sum."""

    MASK_KEY = 1
    """Of a clinic that dropped out after it had dealt its shares."""


class ReleasedShare(NamedTuple):
    """A holder's share.

    Attributes:
        dealer: whose secret it is of, by its place in the roster.
        secret: which one.
        share: 33 bytes.
    """

    dealer: int
    secret: Secret
    share: bytes


@dataclass(frozen=True)
class ReleasedShares:
    """All shares that a clinic releases.

    Attributes:
        clinic: its place in the roster.
        shares: one of each dealer, in ascending order.
    """

    clinic: int
    shares: tuple[ReleasedShare, ...]

    def to_bytes(self) -> bytes:
        """The message, 4 bytes and 36 for each dealer."""
        records = (packed_index(dealer) + bytes((secret,)) + share for dealer, secret, share in self.shares)
        return packed(Kind.RELEASED_SHARES, packed_index(self.clinic), *records)

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Decode :meth:`to_bytes`.

        Raises:
            FederationError: it is malformed, or names a clinic twice.
        """
        fields = Unpacker(data, Kind.RELEASED_SHARES)
        clinic = fields.index()
        shares = [_share(record) for record in fields.records(_RECORD_BYTES)]
        fields.ascending([share.dealer for share in shares])
        return cls(clinic, tuple(shares))


def _share(record: bytes) -> ReleasedShare:
    try:
        secret = Secret(record[INDEX_BYTES])
    except ValueError as error:
        raise malformed(Kind.RELEASED_SHARES, "opens a secret that there is not") from error
    return ReleasedShare(int.from_bytes(record[:INDEX_BYTES], "big"), secret, record[INDEX_BYTES + 1 :])
