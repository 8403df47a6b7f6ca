"""``enrol``, ``revoke``, ``suspend``, ``reinstate`` and ``clinics``: who may take part."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from dermafed.console import print_note
from dermafed.server.commands.options import HERE, AsJson, Dir, File, Text, open_record, print_json, when
from dermafed.shared.errors import InputError, SettingsError


def enrol(
    clinic: Text,
    key: File,
    directory: Dir = HERE,
    out: Annotated[
        Path | None,
        typer.Option(help="The invitation to write.  [default: CLINIC-invitation.json]", show_default=False),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Register a clinic's key, and write the invitation for the clinic.

    CLINIC is the clinic's name in every table and log; KEY is the key.pub that fl-client init made there. The
    invitation contains no secret, but compare the two fingerprints with the clinic by telephone.

    **Examples**

        fl-server enrol graz graz.pub

        fl-server enrol graz graz.pub --dir alps --out for-graz.json
    """
    from dermafed.server.coordinator.federation_folder import (
        TRUST,
        authority_fingerprint,
        authority_pem,
        load_settings,
    )
    from dermafed.server.record.clinics_table import enrol as add_clinic
    from dermafed.shared.names import check_name
    from dermafed.shared.protocol.invitation import Invitation, write_invitation
    from dermafed.shared.protocol.node_key import fingerprint, read_public_key

    record, settings = open_record(directory), load_settings(directory)
    path = out or Path(f"{check_name(clinic, 'clinic')}-invitation.json")
    public_key = read_public_key(key)
    invitation = Invitation(
        settings.federation,
        settings.address,
        clinic,
        fingerprint(public_key),
        authority_pem(directory / TRUST),
        authority_fingerprint(directory / TRUST),
    )
    _check_replaceable(path, invitation)
    # Registered first: if the file cannot be written, the same command again writes it.
    is_new = add_clinic(record, clinic, public_key)
    write_invitation(path, invitation)
    if as_json:
        print_json({"clinic": clinic, "invitation": path, "key_fingerprint": invitation.key_fingerprint})
        return
    done = "is enrolled" if is_new else "was enrolled already"
    for line in (
        f"{clinic} {done}; give {path} to the clinic",
        f"Its key's fingerprint:  {invitation.key_fingerprint}",
        f"CA fingerprint:         {invitation.ca_fingerprint}",
    ):
        print_note(line)


def revoke(clinic: Text, directory: Dir = HERE, as_json: AsJson = False) -> None:
    """Revoke a clinic's key, for good; its node is disconnected within a second.

    CLINIC is its name. A run that it takes part in continues if the quorum allows. Models that were trained
    with its images stay as they are. The clinic may be enrolled again with a new key.

    **Examples**

        fl-server revoke graz

        fl-server revoke graz --dir alps --json
    """
    from dermafed.server.record.clinics_table import revoke as revoke_key

    revoke_key(open_record(directory), clinic)
    if as_json:
        print_json({"revoked": clinic})
    else:
        print_note(f"{clinic} is revoked")


def suspend(
    clinic: Text,
    directory: Dir = HERE,
    reason: Annotated[str, typer.Option(help="Why, for fl-server status.", show_default=False)] = "",
    as_json: AsJson = False,
) -> None:
    """Ask a clinic no more, until it is reinstated: from the next message on, in every run.

    CLINIC is its name. It stays enrolled and connected, and is told nothing. What of its work is in a model
    stays there; to begin without it, request a new run.

    **Examples**

        fl-server suspend graz --reason "labels look exchanged"

        fl-server suspend graz --dir alps --json
    """
    from dermafed.server.record.suspensions_table import suspend as ask_no_more

    ask_no_more(open_record(directory), clinic, reason)
    if as_json:
        print_json({"suspended": clinic, "reason": reason})
    else:
        print_note(f"{clinic} is suspended; to ask it again: fl-server reinstate {clinic}")


def reinstate(clinic: Text, directory: Dir = HERE, as_json: AsJson = False) -> None:
    """End a clinic's suspension.

    CLINIC is its name.

    **Examples**

        fl-server reinstate graz

        fl-server reinstate graz --dir alps --json
    """
    from dermafed.server.record.suspensions_table import reinstate as ask_again

    ask_again(open_record(directory), clinic)
    if as_json:
        print_json({"reinstated": clinic})
    else:
        print_note(f"{clinic} is reinstated")


def clinics(directory: Dir = HERE, as_json: AsJson = False) -> None:
    """List the enrolled and revoked clinics, and who is connected.

    **Examples**

        fl-server clinics

        fl-server clinics --dir alps --json
    """
    from dermafed.server.record.clinics_table import list_clinics
    from dermafed.shared.protocol.node_key import fingerprint
    from dermafed.shared.storage.lock import is_locked

    known, serving = list_clinics(open_record(directory)), is_locked(directory)
    if as_json:
        rows = [
            {
                **{name: value for name, value in asdict(clinic).items() if name != "key"},
                "online": clinic.online if serving else None,
                "key_fingerprint": fingerprint(clinic.key),
            }
            for clinic in known
        ]
        print_json({"server": serving, "clinics": rows})
        return
    table = Table(title="Clinics" if serving else "Clinics (the server is not running)")
    for heading in ("Clinic", "Connected since", "Enrolled", "Revoked", "Key"):
        table.add_column(heading, overflow="fold")
    for clinic in known:
        online = when(clinic.online) if serving else "-"
        moments = (when(clinic.enrolled), when(clinic.revoked))
        table.add_row(escape(clinic.name), online, *moments, fingerprint(clinic.key))
    Console().print(table)


def _check_replaceable(path: Path, invitation: object) -> None:
    """Refuse to overwrite anything but the same invitation."""
    from dermafed.shared.protocol.invitation import read_invitation

    if not path.exists():
        return
    try:
        same = read_invitation(path) == invitation
    except InputError:
        same = False
    if not same:
        raise SettingsError(
            "There is a file of this name", where=path, remedy="Choose another --out, or remove it"
        )
