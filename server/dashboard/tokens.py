"""Tokens that open the dashboard, saved as digests, and the sessions of browsers."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from dermafed.shared.errors import SettingsError
from dermafed.shared.names import check_name
from dermafed.shared.storage.atomic_files import make_private_folder, write_private

TOKENS = "tokens"
"""The folder in that of the federation."""

SESSION_SECONDS = 12 * 3600.0
_AT_ONCE = 100


class Tokens:
    """The tokens in a folder; a change is effective at once, whichever process makes it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def make(self, name: str) -> str:
        """Make a new token of 256 random bits; only its digest is saved.

        Raises:
            SettingsError: the name is not valid, or has a token.
            StorageError: it cannot be saved.
        """
        make_private_folder(self._folder)
        path = self._file(name)
        if path.exists():
            raise SettingsError(
                f"{name} has a token", where=path, remedy=f"Run: fl-server token {name} --revoke"
            )
        token = secrets.token_urlsafe(32)
        made = datetime.now(UTC).isoformat(timespec="seconds")
        write_private(path, json.dumps({"sha256": digest_of(token), "made": made}).encode())
        return token

    def revoke(self, name: str) -> None:
        """Revoke a token, and end the sessions that it opened.

        Raises:
            SettingsError: there is no token of this name.
        """
        try:
            self._file(name).unlink()
        except FileNotFoundError as error:
            raise SettingsError(
                f"{name} has no token", where=self._folder, remedy="Check the name"
            ) from error

    def find_name(self, digest: str) -> str | None:
        """The name of the token with this digest."""
        found = None
        for path in self._folder.glob("*.json"):
            try:
                known = str(json.loads(path.read_text("utf-8"))["sha256"])
            except (OSError, ValueError, KeyError, TypeError):
                continue  # revoked just now, or not a token file
            if hmac.compare_digest(known, digest):
                found = path.stem
        return found

    def _file(self, name: str) -> Path:
        return self._folder / f"{check_name(name, 'token')}.json"


def digest_of(token: str) -> str:
    """SHA-256, hexadecimal: as good as a slow digest for a secret that nobody can guess."""
    return hashlib.sha256(token.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class _Session:
    token: str  # its digest
    ends: float


class Sessions:
    """Sessions by the digest of their cookie, in memory: a restart ends them all.

    Args:
        tokens: the tokens that open sessions; a session ends with its token.
        clock: monotonic time in seconds.
    """

    def __init__(self, tokens: Tokens, clock: Callable[[], float] = time.monotonic) -> None:
        self._tokens, self._clock = tokens, clock
        self._open: dict[str, _Session] = {}

    def sign_in(self, token: str) -> str | None:
        """Open a session and return its cookie; ``None`` if there is no such token."""
        digest = digest_of(token)
        if self._tokens.find_name(digest) is None:
            return None
        now = self._clock()
        self._open = {key: session for key, session in self._open.items() if session.ends > now}
        if len(self._open) >= _AT_ONCE:
            del self._open[min(self._open, key=lambda key: self._open[key].ends)]
        cookie = secrets.token_urlsafe(32)
        self._open[digest_of(cookie)] = _Session(digest, now + SESSION_SECONDS)
        return cookie

    def find_name(self, cookie: str) -> str | None:
        """The name of the token by which this cookie's session was opened."""
        session = self._open.get(digest_of(cookie))
        if session is None or session.ends <= self._clock():
            return None
        return self._tokens.find_name(session.token)

    def sign_out(self, cookie: str) -> None:
        """End a session."""
        self._open.pop(digest_of(cookie), None)
