"""A session of a node's calls: its first call is signed, and the answer has a secret for the others.

A signature with P-384 takes each side half a millisecond, a tag with the secret some microseconds. As with
signatures, who calls is known before a body is read, and each tag is good once; besides, only for its path.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64decode, b64encode
from dataclasses import dataclass

SESSION = "dermafed-session"
"""The header that asks for a session (``new``), gives one, or names one, with the time and a number."""

NEW = "new"

TAG = "dermafed-tag"
"""The header with the tag of a call."""


@dataclass(frozen=True)
class Secret:
    """The secret of a session.

    Attributes:
        name: of the session.
        key: 32 secret bytes.
    """

    name: str
    key: bytes

    def tag(self, path: str, call: str) -> str:
        """The tag of a call: HMAC with SHA-256, RFC 2104.

        Args:
            path: of the call.
            call: the header :data:`SESSION` of it.
        """
        return hmac.new(self.key, f"{path} {call}".encode(), hashlib.sha256).hexdigest()

    def text(self) -> str:
        """The header that gives the session."""
        return f"{self.name} {b64encode(self.key).decode('ascii')}"

    @classmethod
    def parse(cls, text: str) -> Secret:
        """The session from :meth:`text`.

        Raises:
            ValueError: it is no such text.
        """
        name, key = text.split(" ")
        return cls(name, b64decode(key, validate=True))
