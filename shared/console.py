"""What the three commands share: how an error reaches the user, and the exit code."""

from __future__ import annotations

import sys

import typer
from rich.console import Console

from shared.errors import DermaFedError

FAILED = 1


def run_app(app: typer.Typer) -> None:
    """Runs a command line: exits 0, 1 (failed) or 2 (bad usage or input), never with a traceback."""
    try:
        app()
    except DermaFedError as error:
        stderr().print(f"[bold red]Error:[/] {_escape(str(error))}", soft_wrap=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        stderr().print("Stopped.")
        sys.exit(FAILED)


def stderr() -> Console:
    """The console for everything but results."""
    return Console(stderr=True, highlight=False)


def _escape(text: str) -> str:
    return text.replace("[", r"\[")
