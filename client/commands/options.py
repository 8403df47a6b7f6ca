"""Options that several commands of ``fl-client`` have."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from dermafed.console import progress_bar

Folder = Annotated[Path, typer.Option("--dir", help="The clinic's folder.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else, on stdout.")]
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


def print_json(value: Any) -> None:
    """One value as JSON on stdout."""
    sys.stdout.write(json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False) + "\n")


def plain(text: object) -> str:
    """Text from outside without characters that could change what a terminal shows."""
    return "".join(letter if letter.isprintable() else "?" for letter in str(text))


@contextmanager
def stages() -> Iterator[Callable[[str], Callable[[int, int], None]]]:
    """Progress bars by the name of the stage; a new one ends the one before."""
    with ExitStack() as bars:

        def stage(what: str) -> Callable[[int, int], None]:
            bars.close()
            return bars.enter_context(progress_bar(what))

        yield stage
