"""``fl-client serve`` and ``token``: serve a clinic, and make the access tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from dermafed.client.commands.options import HERE, Folder, open_home, print_lines
from dermafed.console import stderr
from dermafed.console.stages import show_stages

if TYPE_CHECKING:
    from dermafed.client.clinic.http.start import Ready


def serve(
    model: Annotated[
        str, typer.Option(help="A .keras file, the name of a saved model, or last.", show_default=False)
    ],
    host: Annotated[
        str, typer.Option(help="Address to listen on; :: is all, 0.0.0.0 all of IPv4.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port; 0 takes a free one.", min=0, max=65535)] = 8443,
    folder: Folder = HERE,
    synthetic: Annotated[
        bool,
        typer.Option(
            "--synthetic", help="Serve a model even if it was trained on drawn images, for a demonstration."
        ),
    ] = False,
    plain_http: Annotated[
        bool, typer.Option("--plain-http", help="Without TLS, for this machine only.")
    ] = False,
) -> None:
    """Diagnose images: a page for clinicians, an API for devices; until Ctrl-C.

    Once it answers, it prints the address of the page. The table [serve] of clinic.toml sets limits and
    certificate; fl-client token makes access tokens. Research use only; not a medical device.

    **Examples**

    The newest model that the node saved, for the whole clinic:

        fl-client serve --model last --host 0.0.0.0

    A saved model, on this machine:

        fl-client serve --model dermafed-run/model.keras --dir /srv/dermafed
    """
    from dermafed.client.clinic.http.listening import ListenAddress

    home, place = open_home(folder), ListenAddress(host, port, tls=not plain_http)
    with show_stages() as stages:
        stages.start("Loading the programs")
        from dermafed.client.clinic.http.start import serve as serve_clinic

        def ready(node: Ready) -> None:
            stages.end()
            _print_ready(node)

        serve_clinic(home, model, place, ready, stages.start, synthetic)


def token(
    name: Annotated[str, typer.Argument(show_default=False)],
    role: Annotated[Literal["device", "clinician"], typer.Option(help="The owner's role.")] = "device",
    revoke: Annotated[bool, typer.Option("--revoke", help="Revoke the token, at once.")] = False,
    folder: Folder = HERE,
) -> None:
    """Make an access token for a device or a clinician.

    NAME is recorded with every request. The token is printed once, on stdout; only its digest is saved.

    **Examples**

        fl-client token dermatoscope-1 >dermatoscope-1.token

        fl-client token anna.huber --role clinician

        fl-client token dermatoscope-1 --revoke
    """
    from dermafed.client.clinic.http.tokens import TOKENS, Tokens

    tokens = Tokens(open_home(folder).serving / TOKENS)
    if revoke:
        tokens.revoke(name)
        stderr().print(f"{name} has no access any more.", markup=False)
        return
    typer.echo(tokens.make(name, role))
    stderr().print(f"The token of the {role} {name}: it is not shown again.", markup=False)


def _print_ready(node: Ready) -> None:
    lines = [f"Ready: {node.address} with {node.model.name}, round {node.model.round}"]
    if node.certificate is not None and node.certificate.authority is not None:
        lines.append(f"Browsers and devices must trust {node.certificate.authority}")
        lines.append(f"Its fingerprint: {node.certificate.fingerprint}")
    print_lines(*lines, "Research use only; not a medical device.")
