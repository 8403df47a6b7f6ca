"""Options that several commands of ``fl-client`` have."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from dermafed.console import progress_bar

if TYPE_CHECKING:
    from dermafed.client.clinic.store.store import Store
    from dermafed.client.node.home import Home

Folder = Annotated[Path, typer.Option("--dir", help="The clinic's folder.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else, on stdout.")]
AsJsonLines = Annotated[
    bool, typer.Option("--json", help="Print a JSON line for each image, and nothing else, on stdout.")
]
ImageColumn = Annotated[
    str | None,
    typer.Option(
        "--image",
        help="The manifest's column that names the image.  [default: one of an accepted name]",
        show_default=False,
    ),
]
LabelColumn = Annotated[
    str | None,
    typer.Option(
        "--label",
        help="The manifest's column that names the diagnosis.  [default: one of an accepted name]",
        show_default=False,
    ),
]
HERE = Path()


def open_home(folder: Path) -> Home:
    """Open the clinic's folder; its modules load Flower, so a command imports them when it runs."""
    from dermafed.client.node.home import open_home

    return open_home(folder)


def open_store(folder: Path) -> Store:
    """Open the store of the clinic in a folder; it is imported when a command runs."""
    from dermafed.client.clinic.store.store import open_store

    return open_store(open_home(folder))


def print_lines(*lines: str) -> None:
    """Print each line on stdout as it is, without characters that could change what a terminal shows."""
    out = Console(highlight=False, markup=False, soft_wrap=True)
    for line in lines:
        out.print(plain(line))


def print_json(value: Any) -> None:
    """One value as JSON on stdout."""
    sys.stdout.write(json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False) + "\n")


def plain(text: object) -> str:
    """A text without characters that could change what a terminal shows."""
    return "".join(letter if letter.isprintable() else "?" for letter in str(text))


@contextmanager
def stages() -> Iterator[Callable[[str], Callable[[int, int], None]]]:
    """Progress bars by the name of the stage; a new one ends the one before."""
    with ExitStack() as bars:

        def stage(what: str) -> Callable[[int, int], None]:
            bars.close()
            return bars.enter_context(progress_bar(what))

        yield stage
