"""Tokens that open the dashboard, and the sessions of browsers."""

from __future__ import annotations

from pathlib import Path

from dermafed.shared.port.access_tokens import BrowserSessions, TokenFiles

TOKENS = "tokens"
"""The folder in that of the federation."""

SESSION_SECONDS = 12 * 3600.0
_AT_ONCE = 100


class Tokens(TokenFiles):
    """The tokens in a folder, each with a name."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "fl-server token")

    def find_name(self, digest: str) -> str | None:
        """The name of the token with this digest."""
        return self.find(digest, lambda name, values: name)


def sessions_of(tokens: Tokens) -> BrowserSessions[str]:
    """The sessions of browsers, by the name of the token that opened them."""
    return BrowserSessions(tokens.find_name, SESSION_SECONDS, _AT_ONCE)
