"""Access tokens of devices and clinicians, saved as digests, and the sessions of clinicians at the page."""

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
from typing import Literal, get_args

from dermafed.shared.errors import SettingsError
from dermafed.shared.names import check_name
from dermafed.shared.storage.atomic_files import make_private_folder, write_private

Role = Literal["device", "clinician"]
ROLES: tuple[Role, ...] = get_args(Role)
TOKENS = "tokens"  # the folder, in that of the node that serves

# With this prefix a browser takes the cookie from HTTPS only, and sends it to this host only.
COOKIE = "__Host-session"
_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever sends a request.

    Attributes:
        name: the name of the token.
        role: what the caller may do: a device sends images and reads its own diagnoses; a clinician reads all
            diagnoses and gives opinions.
    """

    name: str
    role: Role


class Tokens:
    """The tokens of a node; a change is effective at once, whichever process makes it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def make(self, name: str, role: Role) -> str:
        """Make a new token of 256 random bits; only its digest is saved.

        Raises:
            SettingsError: the name is not valid, or has a token.
            StorageError: it cannot be saved.
        """
        make_private_folder(self._folder)
        path = self._file(name)
        if path.exists():
            raise SettingsError(
                f"{name} has a token", where=path, remedy=f"Run: fl-client token {name} --revoke"
            )
        token = secrets.token_urlsafe(32)
        made = datetime.now(UTC).isoformat(timespec="seconds")
        values = {"role": role, "sha256": digest_of(token), "made": made}
        write_private(path, json.dumps(values).encode())
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

    def find_caller(self, digest: str) -> Caller | None:
        """The caller whose token has this digest."""
        found = None
        for path in self._folder.glob("*.json"):
            try:
                values = json.loads(path.read_text("utf-8"))
                caller = Caller(path.stem, values["role"])
                same = hmac.compare_digest(str(values["sha256"]), digest)
            except (OSError, ValueError, KeyError, TypeError):
                continue  # revoked just now, or not a token file
            if same and caller.role in ROLES:
                found = caller
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
    """Sessions by the digest of their cookie, in memory: a restart ends them all."""

    def __init__(self, tokens: Tokens, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Start without sessions.

        Args:
            tokens: the tokens that open sessions; a session ends with its token.
            seconds: how long a session lasts.
            clock: monotonic time in seconds.
        """
        self.seconds = seconds
        self._tokens, self._clock = tokens, clock
        self._open: dict[str, _Session] = {}

    def sign_in(self, token: str) -> str | None:
        """Open a session and return its cookie; ``None`` if the token is not a clinician's."""
        digest = digest_of(token)
        caller = self._tokens.find_caller(digest)
        if caller is None or caller.role != "clinician":
            return None
        now = self._clock()
        self._open = {key: session for key, session in self._open.items() if session.ends > now}
        if len(self._open) >= _AT_ONCE:
            del self._open[min(self._open, key=lambda key: self._open[key].ends)]
        cookie = secrets.token_urlsafe(32)
        self._open[digest_of(cookie)] = _Session(digest, now + self.seconds)
        return cookie

    def find_caller(self, cookie: str) -> Caller | None:
        """The caller who is signed in with this cookie."""
        session = self._open.get(digest_of(cookie))
        if session is None or session.ends <= self._clock():
            return None
        return self._tokens.find_caller(session.token)

    def sign_out(self, cookie: str) -> None:
        """End a session."""
        self._open.pop(digest_of(cookie), None)
