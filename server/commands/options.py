"""Options and output that the commands share."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from dermafed.server.record.record_database import Record

Dir = Annotated[Path, typer.Option("--dir", help="The federation's folder, made by fl-server init.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object, and nothing else, on stdout.")]

# Described in each command's text: with click 8.5, typer loses the help of arguments.
Text = Annotated[str, typer.Argument(show_default=False)]
File = Annotated[Path, typer.Argument(show_default=False)]

HERE = Path()


def open_record(folder: Path) -> Record:
    """The record of a federation's folder.

    Raises:
        InputError: it is not a federation's folder, others may read it, or the record is lost.
    """
    from dermafed.server.coordinator import federation_folder

    federation_folder.load_settings(folder)
    return federation_folder.open_record(folder)


def print_json(content: Mapping[str, Any]) -> None:
    """One JSON object on stdout."""
    sys.stdout.write(json.dumps(content, allow_nan=False, default=str) + "\n")


def when(moment: str | None) -> str:
    """A moment of the record, for a table."""
    return moment[:16].replace("T", " ") if moment else "-"
