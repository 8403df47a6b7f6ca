"""The clinic's folder: its settings, its key pair, its files, and the server that it trusts.

::

    clinic.toml          clinic, data, [limits]
    key, key.pub         EC P-384 in OpenSSH's format; only key.pub leaves
    worker.secret        by which the two processes of the node recognise each other
    server.json, ca.pem  from the invitation
    serving/             certificate and tokens of the page and the API
    offers/              the plans that were offered, and the clinic's decisions
    audit.jsonl          every message that left
    privacy.db           the ledger of privacy: what patients have spent in runs with differential privacy
    models/              the last global model of each run
    counts/              the answers to the coordinator's queries of counts
    monthly.json         the counts of the served model's answers by month
    store/               the diagnoses made here, encrypted
    reviewed/            diagnoses that a person accepted as training data
    similar.npz          features of the clinic's confirmed cases
    node/                state and logs of the running node

Only their owner can read the folders (0700) and the files (0600), except ``key.pub``.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from dermafed.client.node.clinic_settings import ClinicSettings, load_settings
from dermafed.client.node.settings_template import settings_text
from dermafed.shared.errors import SettingsError
from dermafed.shared.names import check_name
from dermafed.shared.protocol.invitation import Invitation
from dermafed.shared.protocol.node_key import fingerprint, make_key_pair, read_public_key
from dermafed.shared.storage.atomic_files import unwritable, write_private


class _PathInHome:
    """A path in the clinic's folder, by its name there."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, home: Home, _: type[Home]) -> Path:
        return home.folder / self._name


@dataclass(frozen=True, slots=True)
class Home:
    """A clinic's folder and the paths in it, which the top of this module describes."""

    folder: Path

    settings_file = _PathInHome("clinic.toml")
    key = _PathInHome("key")
    public_key = _PathInHome("key.pub")
    secret = _PathInHome("worker.secret")
    server_file = _PathInHome("server.json")
    ca = _PathInHome("ca.pem")
    serving = _PathInHome("serving")
    offers = _PathInHome("offers")
    audit = _PathInHome("audit.jsonl")
    ledger = _PathInHome("privacy.db")
    models = _PathInHome("models")
    counts = _PathInHome("counts")
    monthly = _PathInHome("monthly.json")
    store = _PathInHome("store")
    reviewed = _PathInHome("reviewed")
    similar = _PathInHome("similar.npz")
    node = _PathInHome("node")
    bell = _PathInHome("node/bell")


def make_home(folder: Path, clinic: str, data: Path) -> Home:
    """Make a clinic's folder with a new key pair.

    Raises:
        SettingsError: the folder is in use, or the name is not valid.
        StorageError: the folder cannot be written.
    """
    check_name(clinic, "clinic")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise SettingsError("The folder is in use", where=folder, remedy="Choose a new folder for the clinic")
    home = Home(folder)
    try:
        for path in (folder, home.offers, home.models, home.node):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
        make_key_pair(home.key, home.public_key, comment=clinic)
        write_private(home.secret, secrets.token_bytes(32))
    except OSError as error:
        raise unwritable(error, folder) from error
    write_private(home.settings_file, settings_text(clinic, data).encode())
    return home


def open_home(folder: Path) -> Home:
    """Open the clinic's folder that :func:`make_home` made.

    Raises:
        SettingsError: it is not a clinic's folder.
    """
    home = Home(folder.resolve())
    if not home.settings_file.is_file():
        raise SettingsError(
            "This is not a clinic's folder",
            where=folder,
            remedy="Give the clinic's folder as --dir, or make one with fl-client init",
        )
    return home


def read_settings(home: Home) -> ClinicSettings:
    """Read ``clinic.toml``; raises SettingsError if it is damaged."""
    return load_settings(home.settings_file)


@dataclass(frozen=True, slots=True)
class PinnedServer:
    """The server that a clinic trusts, and no other.

    Attributes:
        federation: the federation's name.
        address: ``host:port``.
        ca_fingerprint: of the certificate of its authority.
    """

    federation: str
    address: str
    ca_fingerprint: str

    def __str__(self) -> str:
        return f"{self.federation} at {self.address}, authority {self.ca_fingerprint}"


def pinned_server(home: Home) -> PinnedServer | None:
    """The server that the clinic trusts; ``None`` if it has not joined. What cannot be read is unknown."""
    if not home.server_file.exists():
        return None
    try:
        values = json.loads(home.server_file.read_text("utf-8"))
        return PinnedServer(*(str(values[field.name]) for field in fields(PinnedServer)))
    except (OSError, ValueError, KeyError, TypeError):
        return PinnedServer("unknown", "unknown", "unknown")


def pin_server(home: Home, invitation: Invitation, *, replace: bool = False) -> None:
    """Trust the server of an invitation, and no other server.

    Args:
        home: the clinic's folder.
        invitation: from the coordinator.
        replace: whether it may take the place of another server.

    Raises:
        SettingsError: the invitation is for another clinic or key, or the clinic trusts another server.
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
            remedy="Send key.pub to the coordinator again and ask for a new invitation",
        )
    trusted = pinned_server(home)
    new = PinnedServer(invitation.federation, invitation.address, invitation.ca_fingerprint)
    if trusted not in (None, new) and not replace:
        raise SettingsError(
            f"This clinic trusts another server. Now: {trusted}. In the invitation: {new}",
            where=home.server_file,
            remedy="Compare the new authority with the coordinator by telephone, then join with --replace",
        )
    # The certificate first: the address is useless without it.
    write_private(home.ca, invitation.ca_pem.encode())
    write_private(home.server_file, f"{json.dumps(asdict(new), indent=2)}\n".encode())


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
