"""Who may ask: a token for each device and each clinician, kept as its digest in a file of its own."""

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


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks.

    Attributes:
        name: the token's.
        role: what it may do: a device sends images and reads its own diagnoses; a clinician reads all, and
            says what they think of them.
    """

    name: str
    role: Role


class Tokens:
    """The tokens of a node; a change counts at once, whichever process makes it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def make(self, name: str, role: Role) -> str:
        """A new token, 256 random bits; only its digest is kept.

        Raises:
            SettingsError: the name is none, or has a token.
            StorageError: it cannot be kept.
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
        """End a token, and the sessions that it opened.

        Raises:
            SettingsError: there is none of that name.
        """
        try:
            self._file(name).unlink()
        except FileNotFoundError as error:
            raise SettingsError(
                f"{name} has no token", where=self._folder, remedy="Check the name"
            ) from error

    def whose(self, digest: str) -> Caller | None:
        """Who has the token of this digest."""
        found = None
        for path in self._folder.glob("*.json"):
            try:
                values = json.loads(path.read_text("utf-8"))
                caller = Caller(path.stem, values["role"])
                same = hmac.compare_digest(str(values["sha256"]), digest)
            except (OSError, ValueError, KeyError, TypeError):
                continue  # revoked just now, or no file of ours
            if same and caller.role in ROLES:
                found = caller
        return found

    def _file(self, name: str) -> Path:
        return self._folder / f"{check_name(name, 'token')}.json"


def digest_of(token: str) -> str:
    """SHA-256, hexadecimal: as good as a slow digest for a secret that nobody can guess."""
    return hashlib.sha256(token.encode()).hexdigest()


# With this prefix a browser takes the cookie from HTTPS only, and sends it to this host only.
COOKIE = "__Host-session"
_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class _Session:
    token: str  # its digest
    ends: float


class Sessions:
    """Sessions by their cookie's digest, in memory: a restart ends them all."""

    def __init__(self, tokens: Tokens, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Starts without any.

        Args:
            tokens: what a session is opened by, and lives no longer than.
            seconds: after which a session ends.
            clock: seconds.
        """
        self.seconds = seconds
        self._tokens, self._clock = tokens, clock
        self._open: dict[str, _Session] = {}

    def sign_in(self, token: str) -> str | None:
        """The cookie of a new session; ``None`` if the token is no clinician's."""
        digest = digest_of(token)
        caller = self._tokens.whose(digest)
        if caller is None or caller.role != "clinician":
            return None
        now = self._clock()
        self._open = {key: session for key, session in self._open.items() if session.ends > now}
        if len(self._open) >= _AT_ONCE:
            del self._open[min(self._open, key=lambda key: self._open[key].ends)]
        cookie = secrets.token_urlsafe(32)
        self._open[digest_of(cookie)] = _Session(digest, now + self.seconds)
        return cookie

    def whose(self, cookie: str) -> Caller | None:
        """Who is signed in with this cookie."""
        session = self._open.get(digest_of(cookie))
        if session is None or session.ends <= self._clock():
            return None
        return self._tokens.whose(session.token)

    def sign_out(self, cookie: str) -> None:
        """End a session."""
        self._open.pop(digest_of(cookie), None)
