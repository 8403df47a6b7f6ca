"""Access tokens of devices and clinicians, and the sessions of clinicians at the page."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from dermafed.shared.port.access_tokens import BrowserSessions, TokenFiles

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
    """The tokens of a node, each with a name and a role."""

    def __init__(self, folder: Path) -> None:
        self._files = TokenFiles(folder, "fl-client token")

    def make(self, name: str, role: Role) -> str:
        """Make a new token; see :meth:`TokenFiles.make`."""
        return self._files.make(name, role=role)

    def revoke(self, name: str) -> None:
        """Revoke a token; see :meth:`TokenFiles.revoke`."""
        self._files.revoke(name)

    def find_caller(self, digest: str) -> Caller | None:
        """The caller whose token has this digest."""
        return self._files.find(digest, _caller)

    def find_clinician(self, digest: str) -> Caller | None:
        """The same, if it is a clinician's."""
        found = self.find_caller(digest)
        return found if found is not None and found.role == "clinician" else None


def _caller(name: str, values: Mapping[str, Any]) -> Caller | None:
    return Caller(name, values["role"]) if values["role"] in ROLES else None


class Sessions(BrowserSessions[Caller]):
    """The sessions of clinicians."""

    def __init__(self, tokens: Tokens, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Start without sessions; see :class:`BrowserSessions`.

        Args:
            tokens: the tokens that open sessions.
            seconds: how long a session lasts.
            clock: monotonic time in seconds.
        """
        super().__init__(tokens.find_clinician, seconds, _AT_ONCE, clock)

    def find_caller(self, cookie: str) -> Caller | None:
        """The clinician who is signed in with this cookie."""
        return self.find(cookie)
