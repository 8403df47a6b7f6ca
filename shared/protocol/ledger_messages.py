"""The head of a clinic's ledger of privacy, signed into its replies, and sent back by the server.

==============  ===================  ====================================================================
message         record               content
==============  ===================  ====================================================================
train, evaluate ``ledgers`` (config) of each clinic the last head that the server saw, hexadecimal, by the
                                     fingerprint of its key: no clinic learns the others' names
their replies   ``ledger`` (config)  ``entries``: how many the ledger has; ``digests``: of the last of them,
                                     bytes (n * 32,), the head last; ``signature`` by the clinic's key
==============  ===================  ====================================================================

Both are there only in runs with differential privacy. A clinic whose ledger lacks the head that it once sent
has gone back to a backup: it would spend again what it spent already, so it releases nothing. The server sees
the same in its next reply.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, Hash
from cryptography.hazmat.primitives.serialization import load_pem_public_key, load_ssh_private_key
from flwr.app import ConfigRecord, RecordDict

from dermafed.shared.errors import FederationError
from dermafed.shared.protocol.flower_records import only_fields, record_of, whole_number
from dermafed.shared.protocol.node_key import to_pem

LEDGER, LEDGERS = "ledger", "ledgers"

SENT_DIGESTS = 256
"""The digests of how many entries are sent: the server finds the last head that it saw among them."""

_BYTES = SHA256.digest_size
_LONGEST_SIGNATURE = 200
_HEAD = re.compile(r"[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class LedgerHead:
    """The end of a clinic's ledger.

    Attributes:
        entries: how many it has.
        digests: of the last ones, hexadecimal, the head last.
    """

    entries: int
    digests: tuple[str, ...]

    @classmethod
    def of(cls, digests: list[str]) -> LedgerHead:
        """The head of a ledger with these digests."""
        return cls(len(digests), tuple(digests[-SENT_DIGESTS:]))

    def signed(self, reply: RecordDict, key: ec.EllipticCurvePrivateKey) -> ConfigRecord:
        """The record for a reply, whose content it is bound to."""
        signature = key.sign(self._message(reply), ec.ECDSA(SHA384()))
        digests = bytes.fromhex("".join(self.digests))
        return ConfigRecord({"entries": self.entries, "digests": digests, "signature": signature})

    def verify(self, reply: RecordDict, signature: bytes, public_key: str) -> None:
        """Check the signature.

        Args:
            reply: the content of the reply without the record.
            signature: of the record.
            public_key: the clinic's, in OpenSSH's format.

        Raises:
            FederationError: it is not the clinic's, or belongs to another reply.
        """
        key = load_pem_public_key(to_pem(public_key))
        assert isinstance(key, ec.EllipticCurvePublicKey)
        try:
            key.verify(signature, self._message(reply), ec.ECDSA(SHA384()))
        except InvalidSignature as error:
            raise FederationError("the head of its ledger of privacy has no valid signature") from error

    def _message(self, reply: RecordDict) -> bytes:
        parts = ("DermaFed ledger of privacy", str(self.entries), *self.digests, reply.object_id)
        digest = Hash(SHA256())
        digest.update("\n".join(parts).encode())
        return digest.finalize()


def load_signing_key(openssh: bytes) -> ec.EllipticCurvePrivateKey:
    """The clinic's private key from its file of OpenSSH's format."""
    key = load_ssh_private_key(openssh, password=None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key


def without(content: RecordDict, name: str) -> RecordDict:
    """The content without a record."""
    return RecordDict({key: record for key, record in content.items() if key != name})


def decode_head(content: RecordDict) -> tuple[LedgerHead, bytes]:
    """The head in a reply, and its signature; nothing in it is trusted.

    Raises:
        FederationError: it is missing, or a field is missing, unknown or not valid.
    """
    record = record_of(content, LEDGER, ConfigRecord)
    only_fields(record, "entries", "digests", "signature")
    entries, digests, signature = whole_number(record, "entries"), record["digests"], record.get("signature")
    if not isinstance(digests, bytes) or not isinstance(signature, bytes):
        raise FederationError("the head of its ledger of privacy is not bytes")
    number = len(digests) // _BYTES
    whole = len(digests) == number * _BYTES and number == min(entries, SENT_DIGESTS)
    if not whole or number < 1 or not 0 < len(signature) <= _LONGEST_SIGNATURE:
        raise FederationError("the head of its ledger of privacy is of another length")
    parts = [digests[start : start + _BYTES].hex() for start in range(0, len(digests), _BYTES)]
    return LedgerHead(entries, tuple(parts)), signature


def with_heads(content: RecordDict, heads: Mapping[str, str]) -> RecordDict:
    """A message's content with the last head of each clinic that the server saw, by its key's fingerprint."""
    return RecordDict({**content, LEDGERS: ConfigRecord(dict(heads))})


def head_in(content: RecordDict, fingerprint: str) -> str | None:
    """The last head of this key's clinic that the server saw, in its message; ``None`` if it saw none.

    Raises:
        FederationError: it is not one.
    """
    if LEDGERS not in content:
        return None
    head = record_of(content, LEDGERS, ConfigRecord).get(fingerprint)
    if head is not None and not (isinstance(head, str) and _HEAD.fullmatch(head)):
        raise FederationError("The head of the ledger in the message is not one")
    return head
