"""``fl-server``: the coordinator of a federation."""

from __future__ import annotations

from collections.abc import Callable

import typer

from dermafed.console import Version, run_app
from dermafed.server.commands.clinics import clinics, enrol, reinstate, revoke, suspend
from dermafed.server.commands.model_audit import audit
from dermafed.server.commands.models import export, history, models
from dermafed.server.commands.query import query
from dermafed.server.commands.runs import resume, runs, stop, train
from dermafed.server.commands.setup import init, renew, start
from dermafed.server.commands.status import status
from dermafed.server.commands.token import token

app = typer.Typer(rich_markup_mode="markdown", pretty_exceptions_enable=False, no_args_is_help=True)

_PANELS: dict[str, tuple[Callable[..., None], ...]] = {
    "Set up": (init, enrol, revoke, suspend, reinstate, clinics, renew, token),
    "Run": (start, query, train, status, runs, stop, resume),
    "Results": (history, export),
}
for _panel, _commands in _PANELS.items():
    for _command in _commands:
        app.command(rich_help_panel=_panel)(_command)
models.command("audit")(audit)
app.add_typer(models, name="models", rich_help_panel="Results")


@app.callback()
def describe(version: Version = False) -> None:
    """Coordinate a federation of clinics: its members, its runs and their models.

    Research use only; not a medical device.
    """


def main() -> None:
    """The command ``fl-server``."""
    run_app(app)
