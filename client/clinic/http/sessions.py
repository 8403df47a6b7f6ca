"""Clinicians who are signed in at the page."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from dermafed.client.clinic.http.tokens import Caller, Tokens, digest_of

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
