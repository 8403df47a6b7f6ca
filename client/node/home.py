"""The clinic's folder: its settings, its key, and the server that it trusts.

::

    clinic.toml          clinic, data, [limits]
    key, key.pub         EC P-384 in OpenSSH's format; only key.pub leaves
    worker.secret        between the two processes of the node
    server.json, ca.pem  from the invitation
    serving/             certificate and tokens of the page and the API
    offers/              what was offered, and what the clinic said
    audit.jsonl          every message that left
    models/              the last global model of each run
    store/               the diagnoses made here, encrypted
    reviewed/            diagnoses that a person made into training data
    node/                state and logs of the running node

Folders are readable for their owner only (0700), and so are files (0600), but for ``key.pub``.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from dermafed.client.node.clinic_settings import ClinicSettings, load_settings, settings_text
from dermafed.shared.errors import SettingsError
from dermafed.shared.names import check_name
from dermafed.shared.protocol.invitation import Invitation
from dermafed.shared.protocol.node_key import fingerprint, read_public_key
from dermafed.shared.storage.atomic_files import unwritable, write_atomically, write_json, write_private


@dataclass(frozen=True, slots=True)
class Home:
    """A clinic's folder, by its files."""

    folder: Path

    @property
    def settings_file(self) -> Path:
        """What the clinic may edit."""
        return self.folder / "clinic.toml"

    @property
    def key(self) -> Path:
        """The private key."""
        return self.folder / "key"

    @property
    def public_key(self) -> Path:
        """The key to hand to the coordinator."""
        return self.folder / "key.pub"

    @property
    def secret(self) -> Path:
        """What the node's two processes know each other by."""
        return self.folder / "worker.secret"

    @property
    def server_file(self) -> Path:
        """The server's address."""
        return self.folder / "server.json"

    @property
    def ca(self) -> Path:
        """The authority that vouches for the server."""
        return self.folder / "ca.pem"

    @property
    def serving(self) -> Path:
        """The certificate and the tokens of the page and the API."""
        return self.folder / "serving"

    @property
    def offers(self) -> Path:
        """What was offered."""
        return self.folder / "offers"

    @property
    def audit(self) -> Path:
        """What left."""
        return self.folder / "audit.jsonl"

    @property
    def models(self) -> Path:
        """The last global models."""
        return self.folder / "models"

    @property
    def store(self) -> Path:
        """The diagnoses made here."""
        return self.folder / "store"

    @property
    def reviewed(self) -> Path:
        """Diagnoses that a person made into training data."""
        return self.folder / "reviewed"

    @property
    def node(self) -> Path:
        """State and logs of the running node."""
        return self.folder / "node"


def make_home(folder: Path, clinic: str, data: Path) -> Home:
    """Make a clinic's folder with a new key pair.

    Raises:
        SettingsError: the folder is in use, or the name is none.
        StorageError: the folder cannot be written.
    """
    check_name(clinic, "clinic")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise SettingsError("The folder is in use", where=folder, remedy="Choose a new one for the clinic")
    home = Home(folder)
    try:
        for path in (folder, home.offers, home.models, home.node):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
        _make_key(home, clinic)
        write_private(home.secret, secrets.token_bytes(32))
    except OSError as error:
        raise unwritable(error, folder) from error
    write_private(home.settings_file, settings_text(clinic, data).encode())
    return home


def open_home(folder: Path) -> Home:
    """The clinic's folder that :func:`make_home` made.

    Raises:
        SettingsError: it is no clinic's folder.
    """
    home = Home(folder.resolve())
    if not home.settings_file.is_file():
        raise SettingsError(
            "This is no clinic's folder",
            where=folder,
            remedy="Give it as --dir, or make it with fl-client init",
        )
    return home


def read_settings(home: Home) -> ClinicSettings:
    """What ``clinic.toml`` says now; raises SettingsError where it is damaged."""
    return load_settings(home.settings_file)


def pin_server(home: Home, invitation: Invitation) -> None:
    """Trust the server of an invitation, and no other.

    Raises:
        SettingsError: the invitation is for another clinic or another key.
        StorageError: the folder cannot be written.
    """
    clinic, own = read_settings(home).clinic, fingerprint(read_public_key(home.public_key))
    if invitation.clinic != clinic:
        raise SettingsError(
            f"The invitation is for {invitation.clinic}, this folder is {clinic}'s",
            where=home.settings_file,
            remedy="Give the invitation of this clinic, or the other folder as --dir",
        )
    if invitation.key_fingerprint != own:
        raise SettingsError(
            f"The invitation is for another key than this folder's, {own}",
            where=home.public_key,
            remedy="Send key.pub to the coordinator again, and ask for a new invitation",
        )
    # The certificate first: an address without it would be no use to anyone.
    write_private(home.ca, invitation.ca_pem.encode())
    write_json(
        home.server_file,
        {
            "federation": invitation.federation,
            "address": invitation.address,
            "ca_fingerprint": invitation.ca_fingerprint,
        },
    )
    home.server_file.chmod(0o600)


def server_address(home: Home) -> str:
    """``host:port`` of the server that the clinic trusts.

    Raises:
        SettingsError: the clinic has not joined.
    """
    try:
        return str(json.loads(home.server_file.read_text("utf-8"))["address"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SettingsError(
            "The clinic has not joined a federation",
            where=home.server_file,
            remedy="Run fl-client join with the coordinator's invitation",
        ) from error


def _make_key(home: Home, clinic: str) -> None:
    key = ec.generate_private_key(ec.SECP384R1())
    encoding, ssh = serialization.Encoding, serialization.PrivateFormat.OpenSSH
    write_private(home.key, key.private_bytes(encoding.PEM, ssh, serialization.NoEncryption()))
    public = key.public_key().public_bytes(encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    write_atomically(home.public_key, public + f" {clinic}\n".encode())
