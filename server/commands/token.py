"""``token``: who may see the dashboard."""

from __future__ import annotations

from typing import Annotated

import typer

from dermafed.console import print_note
from dermafed.server.commands.options import HERE, Dir, Text


def token(
    name: Text,
    revoke: Annotated[bool, typer.Option("--revoke", help="Revoke the token, at once.")] = False,
    directory: Dir = HERE,
) -> None:
    """Make an access token for the dashboard of fl-server start.

    NAME is whose it is. The token is printed once, on stdout; only its digest is saved. The dashboard shows
    everything that the other commands show, and changes nothing.

    **Examples**

        fl-server token anna >anna.token

        fl-server token anna --revoke --dir alps
    """
    from dermafed.server.coordinator.federation_folder import load_settings
    from dermafed.server.dashboard.tokens import TOKENS, Tokens

    load_settings(directory)
    tokens = Tokens(directory / TOKENS)
    if revoke:
        tokens.revoke(name)
        print_note(f"{name} has no access any more")
        return
    typer.echo(tokens.make(name))
    print_note(f"The token of {name}: it is not shown again")
