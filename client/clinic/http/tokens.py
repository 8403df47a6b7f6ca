"""Who may ask: a token for each device and each clinician, kept as its digest in a file of its own."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
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
