"""Access tokens, saved as digests in a folder, and the sessions that browsers open with them."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from typing import Any, Generic, TypeVar

from starlette.datastructures import Headers

from dermafed.shared.errors import SettingsError
from dermafed.shared.names import check_name
from dermafed.shared.storage.atomic_files import make_private_folder, write_private

Who = TypeVar("Who")


class TokenFiles:
    """The tokens in a folder, a file each; a change is effective at once, whichever process makes it.

    Args:
        folder: private; created with the first token.
        command: that makes tokens, for the remedies.
    """

    def __init__(self, folder: Path, command: str) -> None:
        self._folder, self._command = folder, command

    def make(self, name: str, **values: str) -> str:
        """Make a new token of 256 random bits; only its digest is saved.

        Args:
            name: whose it is.
            values: saved with it.

        Raises:
            SettingsError: the name is not valid, or has a token.
            StorageError: it cannot be saved.
        """
        make_private_folder(self._folder)
        path = self._file(name)
        if path.exists():
            remedy = f"Run: {self._command} {name} --revoke"
            raise SettingsError(f"{name} has a token", where=path, remedy=remedy)
        token = secrets.token_urlsafe(32)
        made = datetime.now(UTC).isoformat(timespec="seconds")
        write_private(path, json.dumps({**values, "sha256": digest_of(token), "made": made}).encode())
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

    def find(self, digest: str, read: Callable[[str, Mapping[str, Any]], Who | None]) -> Who | None:
        """Whose token has this digest.

        Args:
            digest: of the token.
            read: makes the owner from the name and what is saved with it; ``None`` or a KeyError where that
                is no token of this folder.
        """
        found = None
        for path in self._folder.glob("*.json"):
            try:
                values = json.loads(path.read_text("utf-8"))
                who = read(path.stem, values)
                same = hmac.compare_digest(str(values["sha256"]), digest)
            except (OSError, ValueError, KeyError, TypeError):
                continue  # revoked just now, or not a token file
            if same and who is not None:
                found = who
        return found

    def _file(self, name: str) -> Path:
        return self._folder / f"{check_name(name, 'token')}.json"


def digest_of(token: str) -> str:
    """SHA-256, hexadecimal: as good as a slow digest for a secret that nobody can guess."""
    return hashlib.sha256(token.encode()).hexdigest()


def cookie_of(headers: Headers, name: str) -> str:
    """A cookie of a request; empty without one."""
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(name)
    except CookieError:
        return ""
    return found.value if found else ""


def bearer_token(headers: Headers) -> str | None:
    """The token of ``Authorization: Bearer``; ``None`` without that header."""
    kind, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else None


@dataclass(frozen=True, slots=True)
class _Session:
    token: str  # its digest
    ends: float


class BrowserSessions(Generic[Who]):
    """Sessions by the digest of their cookie, in memory: a restart ends them all.

    Args:
        find: whose token has a digest; a session ends with its token.
        seconds: how long a session lasts.
        at_once: the most that are open; of more the oldest ends.
        clock: monotonic time in seconds.
    """

    def __init__(
        self,
        find: Callable[[str], Who | None],
        seconds: float,
        at_once: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.seconds = seconds
        self._find, self._at_once, self._clock = find, at_once, clock
        self._open: dict[str, _Session] = {}

    def sign_in(self, token: str) -> str | None:
        """Open a session and return its cookie; ``None`` if there is no such token."""
        digest = digest_of(token)
        if self._find(digest) is None:
            return None
        now = self._clock()
        self._open = {key: session for key, session in self._open.items() if session.ends > now}
        if len(self._open) >= self._at_once:
            del self._open[min(self._open, key=lambda key: self._open[key].ends)]
        cookie = secrets.token_urlsafe(32)
        self._open[digest_of(cookie)] = _Session(digest, now + self.seconds)
        return cookie

    def find(self, cookie: str) -> Who | None:
        """Who is signed in with this cookie."""
        session = self._open.get(digest_of(cookie))
        if session is None or session.ends <= self._clock():
            return None
        return self._find(session.token)

    def sign_out(self, cookie: str) -> None:
        """End a session."""
        self._open.pop(digest_of(cookie), None)
