"""``fl-client``: a clinic of a federation."""

from __future__ import annotations

from collections.abc import Callable

import typer

from dermafed.client.commands import (
    backups,
    counts,
    diagnose,
    diagnoses,
    images,
    node,
    plans,
    privacy,
    review,
    serve,
    setup,
    similar,
)
from dermafed.client.commands.diagnose import calibrate
from dermafed.console import Version, run_app

app = typer.Typer(rich_markup_mode="markdown", pretty_exceptions_enable=False, no_args_is_help=True)

COMMANDS: dict[str, tuple[Callable[..., None], ...]] = {
    "Join a federation": (setup.init, setup.join, setup.check),
    "Decide what runs": (plans.plans, plans.approve, plans.refuse, privacy.privacy, counts.counts),
    "Run the node": (node.start, node.status, node.audit, node.models),
    "Diagnose": (serve.serve, serve.token, diagnose.diagnose, similar.similar, calibrate),
    "Use images and models": (images.evaluate, images.audit_model, images.explain, images.convert),
    "Manage diagnoses": (
        diagnoses.diagnoses,
        review.review,
        diagnoses.quarantine,
        diagnoses.forget,
        backups.expire,
        backups.restore,
    ),
}


@app.callback()
def describe(version: Version = False) -> None:
    """Take part in a federation; evaluate, explain and serve its model on a clinic's own images.

    Research use only; not a medical device.
    """


for group, commands in COMMANDS.items():
    for command in commands:
        app.command(rich_help_panel=group)(command)


def main() -> None:
    """The command ``fl-client``."""
    run_app(app)
