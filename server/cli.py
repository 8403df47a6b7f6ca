"""``fl-server``: what a coordinator's run has done, and which models it kept."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from server.history import HistoryRow, best_round
from server.run_folder import KeptModel, federation_folder, kept_models, read_history, row_values
from shared.console import run_app

app = typer.Typer(
    add_completion=False, rich_markup_mode="markdown", pretty_exceptions_enable=False, no_args_is_help=True
)

# Described in each command's text: with click 8.5, typer loses the help of arguments.
Run = Annotated[Path, typer.Argument(show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object, and nothing else, on stdout.")]


@app.callback()
def describe() -> None:
    """Look into the run of a federation: its rounds, and the models it kept.

    Research use only; not a medical device.
    """


@app.command()
def history(run: Run, as_json: AsJson = False) -> None:
    """Show the rounds of a run: losses, figures on validation, and who was left out.

    RUN is the --out folder of fl-simulate, or one of its arms.

    **Examples**

    A run's federation, then what its pooled baseline did, as JSON:

        fl-server history dermafed-run

        fl-server history dermafed-run/arms/pooled --json
    """
    folder = federation_folder(run)
    rows = read_history(folder)
    if as_json:
        rounds = [row_values(row) for row in rows]
        _print_json({"folder": str(folder), "best_round": best_round(rows), "rounds": rounds})
    else:
        Console().print(_history_table(rows))


@app.command()
def models(run: Run, as_json: AsJson = False) -> None:
    """List the models that a run kept: of the start, the last two and the best rounds, as they apply.

    RUN is the --out folder of fl-simulate, or one of its arms.

    **Examples**

    A run's federation, then what its pooled baseline kept, as JSON:

        fl-server models dermafed-run

        fl-server models dermafed-run/arms/pooled --json
    """
    folder = federation_folder(run)
    kept = kept_models(folder)
    if as_json:
        _print_json({"folder": str(folder), "models": [{**asdict(m), "path": str(m.path)} for m in kept]})
    else:
        Console().print(_models_table(folder, kept))


def main() -> None:
    """The command ``fl-server``."""
    run_app(app)


def _history_table(rows: list[HistoryRow]) -> Table:
    table = Table(title="Rounds, judged on validation images")
    for heading in ("Round", "Train loss", "Loss", "Balanced accuracy", "AUC", "Clinics"):
        table.add_column(heading, justify="right")
    table.add_column("Left out")
    best = best_round(rows)
    for row in rows:
        figures = (
            row.train_loss,
            row.validation_loss,
            row.validation_balanced_accuracy,
            row.validation_auc,
        )
        mark = " best" if row.round == best else ""
        table.add_row(f"{row.round}{mark}", *map(_figure, figures), str(row.replied), escape(row.left_out))
    return table


def _models_table(folder: Path, kept: list[KeptModel]) -> Table:
    table = Table(title=escape(str(folder)))
    for heading in ("Round", "File", "Size", "What"):
        table.add_column(heading, justify="right" if heading in ("Round", "Size") else "left")
    for model in kept:
        roles = ", ".join(model.roles) or "before the last"
        table.add_row(str(model.round), model.path.name, f"{model.size / 1e6:.1f} MB", roles)
    return table


def _print_json(content: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(content, allow_nan=False) + "\n")


def _figure(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}"
