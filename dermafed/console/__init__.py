"""What the three commands share: how an error reaches the user, the exit code, and the progress bar."""

from __future__ import annotations

import gc
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from dermafed.shared.errors import DermaFedError, StorageError
from dermafed.shared.storage.atomic_files import is_disk_full


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"dermafed {version('dermafed')}")
        raise typer.Exit


Version = Annotated[
    bool,
    typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
]
"""The option ``--version`` of a command line."""


def run_app(app: typer.Typer) -> None:
    """Runs a command line: exits 0, 1 (failed), 2 (bad usage or input) or 130 (Ctrl-C, by typer).

    Neither bad input nor an unexpected error of a file or disk ends in a traceback.
    """
    gc.freeze()  # what is imported by now stays: no collection looks through it, nor the one at the end
    try:
        app()
    except DermaFedError as error:
        _end_with(error)
    except OSError as error:
        if error.filename is None and not is_disk_full(error):
            raise
        remedy = "Free some disk space" if is_disk_full(error) else "Check the path and your permission"
        _end_with(StorageError(f"{error.strerror}", where=error.filename or "", remedy=remedy))


def stderr() -> Console:
    """The console for everything but results."""
    return Console(stderr=True, highlight=False)


_WIDE = 200


def results() -> Console:
    """The console for results: as wide as the terminal; in a file or a pipe so wide that no table is cut."""
    return Console(width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else _WIDE)


def print_note(text: str) -> None:
    """One line for people on stderr, as it is: not wrapped, and without markup."""
    stderr().print(text, soft_wrap=True, markup=False)


@contextmanager
def progress_bar(description: str, after: float = 2.0) -> Iterator[Callable[[int, int], None]]:
    """Shows a progress bar on stderr once `after` seconds have passed.

    Args:
        description: what is being done.
        after: seconds.

    Yields:
        A function to call with the number of items done and of all items.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=Console(file=sys.stderr))
    task = bar.add_task(description)
    start = time.monotonic()

    def report(done: int, total: int) -> None:
        if not bar.live.is_started and time.monotonic() - start >= after:
            bar.start()
        bar.update(task, completed=done, total=total)

    try:
        yield report
    finally:
        if bar.live.is_started:
            bar.stop()


def _end_with(error: DermaFedError) -> NoReturn:
    stderr().print(f"[bold red]Error:[/] {_escape(str(error))}", soft_wrap=True)
    sys.exit(error.exit_code)


def _escape(text: str) -> str:
    return text.replace("[", r"\[")
