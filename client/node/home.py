"""The clinic's folder: its settings, its key pair, its files, and the server that it trusts.

::

    clinic.toml          clinic, data, [limits]
    key, key.pub         EC P-384 in OpenSSH's format; only key.pub leaves
    worker.secret        by which the two processes of the node recognise each other
    server.json, ca.pem  from the invitation
    serving/             certificate and tokens of the page and the API
    offers/              the plans that were offered, and the clinic's decisions
    audit.jsonl          every message that left
    models/              the last global model of each run
    store/               the diagnoses made here, encrypted
    reviewed/            diagnoses that a person accepted as training data
    node/                state and logs of the running node

Only their owner can read the folders (0700) and the files (0600), except ``key.pub``.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from pathlib import Path

from dermafed.client.node.clinic_settings import ClinicSettings, load_settings, settings_text
from dermafed.shared.errors import SettingsError
from dermafed.shared.names import check_name
from dermafed.shared.protocol.invitation import Invitation
from dermafed.shared.protocol.node_key import fingerprint, make_key_pair, read_public_key
from dermafed.shared.storage.atomic_files import unwritable, write_json, write_private


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
    models = _PathInHome("models")
    store = _PathInHome("store")
    reviewed = _PathInHome("reviewed")
    node = _PathInHome("node")


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


def pin_server(home: Home, invitation: Invitation) -> None:
    """Trust the server of an invitation, and no other server.

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
            remedy="Send key.pub to the coordinator again and ask for a new invitation",
        )
    # The certificate first: the address is useless without it.
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
