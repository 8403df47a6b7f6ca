"""What the three commands share: how an error reaches the user, and the exit code."""

from __future__ import annotations

import errno
import sys
from typing import NoReturn

import typer
from rich.console import Console

from shared.errors import DermaFedError, InputError

FAILED = 1
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


def run_app(app: typer.Typer) -> None:
    """Runs a command line: exits 0, 1 (failed) or 2 (bad usage or input), never with a traceback."""
    try:
        app()
    except DermaFedError as error:
        _end_with(error)
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise
        _end_with(InputError(f"{error.strerror}", where=error.filename or "", remedy="Free some disk space"))
    except KeyboardInterrupt:
        stderr().print("Stopped.")
        sys.exit(FAILED)


def stderr() -> Console:
    """The console for everything but results."""
    return Console(stderr=True, highlight=False)


def _end_with(error: DermaFedError) -> NoReturn:
    stderr().print(f"[bold red]Error:[/] {_escape(str(error))}", soft_wrap=True)
    sys.exit(error.exit_code)


def _escape(text: str) -> str:
    return text.replace("[", r"\[")
