"""``fl-client init``, ``join`` and ``check``: set up a clinic's node."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from dermafed.client.commands.options import HERE, AsJson, Folder, open_home, plain, print_json, print_lines
from dermafed.shared.errors import DermaFedError

if TYPE_CHECKING:
    from dermafed.client.node.home import Home

_COLOURS = {"ok": "green", "warning": "yellow", "failed": "bold red"}


def init(
    directory: Annotated[Path, typer.Argument(metavar="DIR", show_default=False)],
    clinic: Annotated[str, typer.Option(help="The clinic's name in the federation.", show_default=False)],
    data: Annotated[Path, typer.Option(help="The clinic's labelled images.", show_default=False)],
) -> None:
    """Make a clinic's folder with its key pair.

    DIR is a new folder. The private key never leaves it; send only DIR/key.pub to the coordinator.

    **Examples**

        fl-client init graz --clinic graz --data /data/lesions

        fl-client init /srv/dermafed --clinic wien --data /data/lesions.csv
    """
    from dermafed.client.node.home import make_home
    from dermafed.shared.protocol.node_key import fingerprint, read_public_key

    home = make_home(directory, clinic, data)
    print_lines(
        f"Send this file, and no other, to the coordinator: {home.public_key}",
        f"Its fingerprint: {fingerprint(read_public_key(home.public_key))}",
        f"Who may decide what runs, and your limits: {home.settings_file}",
    )


def join(
    invitation: Annotated[Path, typer.Argument(show_default=False)],
    replace: Annotated[
        bool, typer.Option("--replace", help="Trust this server in place of the one that is trusted now.")
    ] = False,
    folder: Folder = HERE,
) -> None:
    """Trust the server of an invitation, and no other; say whether it answers.

    INVITATION is the file that the coordinator made when enrolling this clinic's key. A clinic that trusts
    another server keeps it, unless --replace is given.

    **Examples**

        fl-client join graz-invitation.json

        fl-client join graz-invitation.json --dir /srv/dermafed

        fl-client join new-invitation.json --replace
    """
    from dermafed.client.node.home import pin_server, pinned_server
    from dermafed.shared.protocol.invitation import read_invitation

    read, home = read_invitation(invitation), open_home(folder)
    before = pinned_server(home)
    pin_server(home, read, replace=replace)
    if before not in (None, pinned_server(home)):
        print_lines(f"No longer trusted: {before}")
    print_lines(
        f"Joined {read.federation} at {read.address}.",
        "Compare the authority's fingerprint with the coordinator by telephone:",
        read.ca_fingerprint,
        _whether_it_answers(home),
    )


def _whether_it_answers(home: Home) -> str:
    """What the clinic finds at the server's address, without its key."""
    from dermafed.client.node.health import check_server

    try:
        failed = next((each for each in check_server(home, with_key=False) if each.state == "failed"), None)
    except DermaFedError as error:
        return f"Whether the server answers is unknown: {error}"
    if failed is None:
        return "The server answers."
    return f"The server does not answer yet: {failed.what}. {failed.remedy}"


def check(folder: Folder = HERE, as_json: AsJson = False) -> None:
    """Check everything that the node needs.

    Key, name, TCP, TLS, clock, registration, data, disk and memory. Exits 1 if anything failed.

    **Examples**

        fl-client check

        fl-client check --dir /srv/dermafed --json
    """
    from dermafed.client.node.health import check_clinic

    found = []
    out = Console(highlight=False)
    for each in check_clinic(open_home(folder)):
        found.append(each)
        if not as_json:
            out.print(f"[{_COLOURS[each.state]}]{each.state:8}[/] {each.name:13}", end="")
            out.print(plain(each.what), soft_wrap=True, markup=False)
            if each.remedy:
                out.print(f"{'':22}{plain(each.remedy)}", soft_wrap=True, markup=False)
    if as_json:
        print_json([asdict(each) for each in found])
    if any(each.state == "failed" for each in found):
        raise typer.Exit(1)
