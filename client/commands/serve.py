"""``fl-client serve`` and ``token``: the node in use, and who may ask it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console

from dermafed.client.commands.options import HERE, Folder
from dermafed.console import stderr

if TYPE_CHECKING:
    from dermafed.client.clinic.http.start import Ready


def serve(
    model: Annotated[
        str, typer.Option(help="A .keras file, a kept model's name, or last.", show_default=False)
    ],
    host: Annotated[str, typer.Option(help="Where to listen; 0.0.0.0 is everywhere.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 takes a free one.", min=0, max=65535)] = 8443,
    folder: Folder = HERE,
    plain_http: Annotated[
        bool, typer.Option("--plain-http", help="Without TLS; for this machine itself only.")
    ] = False,
) -> None:
    """Diagnose images: a page for clinicians, an API for devices; until Ctrl-C.

    It prints a ready line with the page's address. Limits and certificate: the table serve of clinic.toml.
    Who may ask: fl-client token. Research use only; not a medical device.

    **Examples**

    The model that the node took home last, for the whole clinic:

        fl-client serve --model last --host 0.0.0.0

    A saved model, on this machine:

        fl-client serve --model dermafed-run/model.keras --dir /srv/dermafed
    """
    from dermafed.client.clinic.http.listening import Place
    from dermafed.client.node.home import open_home

    home, place = open_home(folder), Place(host, port, tls=not plain_http)
    with stderr().status("Loading the model") as loading:
        from dermafed.client.clinic.http.start import serve as serve_clinic

        def ready(now: Ready) -> None:
            loading.stop()
            _tell(now)

        serve_clinic(home, model, place, ready)


def token(
    name: Annotated[str, typer.Argument(show_default=False)],
    role: Annotated[Literal["device", "clinician"], typer.Option(help="What it may do.")] = "device",
    revoke: Annotated[bool, typer.Option("--revoke", help="End the token, at once.")] = False,
    folder: Folder = HERE,
) -> None:
    """Let a device or a clinician ask the node.

    NAME stands in the record of what it asked. The token is printed once, on stdout; its digest is kept.

    **Examples**

        fl-client token dermatoscope-1 >dermatoscope-1.token

        fl-client token anna.huber --role clinician

        fl-client token dermatoscope-1 --revoke
    """
    from dermafed.client.clinic.http.tokens import TOKENS, Tokens
    from dermafed.client.node.home import open_home

    tokens = Tokens(open_home(folder).serving / TOKENS)
    if revoke:
        tokens.revoke(name)
        stderr().print(f"{name} may not ask any more.", markup=False)
        return
    typer.echo(tokens.make(name, role))
    stderr().print(f"The token of the {role} {name}: it is not shown again.", markup=False)


def _tell(now: Ready) -> None:
    out = Console(highlight=False, markup=False, soft_wrap=True)
    out.print(f"Ready: {now.address} with {now.model.name}, round {now.model.round}")
    if now.certificate is not None and now.certificate.authority is not None:
        out.print(f"Browsers and devices must trust {now.certificate.authority}")
        out.print(f"Its fingerprint: {now.certificate.fingerprint}")
    out.print("Research use only; not a medical device.")
