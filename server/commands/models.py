"""``history``, ``models`` and ``export``: the rounds of a run, and its saved models.

``models RUN`` lists them, as ``models list RUN`` does; ``models card RUN`` writes the last one's card.
"""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import click
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from typer.core import TyperGroup

from dermafed.console import print_note, results
from dermafed.server.commands.clinic_rounds import clinics_table
from dermafed.server.commands.options import HERE, AsJson, Dir, File, Text, open_record, print_json
from dermafed.server.record.runs_table import find_run
from dermafed.server.rounds.history import (
    HistoryRow,
    best_round,
    collapse,
    guesses,
    read_history,
    row_values,
    setbacks,
)
from dermafed.shared.errors import SettingsError

if TYPE_CHECKING:
    from dermafed.server.model_card.card_facts import CardFacts
    from dermafed.server.rounds.checkpoint import Checkpoint


def history(run: Text, directory: Dir = HERE, as_json: AsJson = False) -> None:
    """Show the rounds of a run: losses, validation metrics, who was left out, and each clinic's step.

    RUN is the number or name of a federation's run, or the --out folder of fl-simulate, or one of its arms.

    **Examples**

    A simulated federation, then a run of the federation in the current folder, as JSON:

        fl-server history dermafed-run

        fl-server history 3 --json
    """
    folder = run_folder(run, directory)
    rows = read_history(folder)
    if as_json:
        rounds = [row_values(row) for row in rows]
        print_json({"folder": str(folder), "best_round": best_round(rows), "rounds": rounds})
    else:
        results().print(_history_table(rows))
        if text := collapse(rows):
            results().print(text)
        for sentence in setbacks(rows):
            results().print(f"{sentence}.")
        if any(row.clinics for row in rows):
            results().print(clinics_table({row.round: row.clinics for row in rows}))


class _ListByDefault(TyperGroup):
    """A group whose default command is ``list``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Add ``list`` where the first argument is not a command."""
        if args and args[0] not in {*self.commands, *self.get_help_option_names(ctx)}:
            args = ["list", *args]
        return super().parse_args(ctx, args)


models = typer.Typer(cls=_ListByDefault, no_args_is_help=True, rich_markup_mode="markdown")


@models.callback()
def about_models() -> None:
    """List the saved models of a run, write the model card of its last one, or show its audit.

    RUN is the number or name of a federation's run, or the --out folder of fl-simulate. A run with a
    command's name is listed by: fl-server models list NAME.

    **Examples**

        fl-server models 3 --json

        fl-server models card 3 --out spring-card
    """


@models.command("list")
def list_models(run: Text, directory: Dir = HERE, as_json: AsJson = False) -> None:
    """List the saved models of a run: of the start, the last two and the best rounds, as they apply.

    RUN is the number or name of a federation's run, or the --out folder of fl-simulate, or one of its arms.

    **Examples**

    A simulated federation's, then those of a run of the federation in the current folder, as JSON:

        fl-server models list dermafed-run

        fl-server models list 3 --json
    """
    from dermafed.server.rounds.checkpoint import find_checkpoints

    folder = run_folder(run, directory)
    checkpoints = find_checkpoints(folder)
    if as_json:
        print_json(
            {"folder": str(folder), "models": [{**asdict(m), "path": str(m.path)} for m in checkpoints]}
        )
    else:
        Console().print(_models_table(folder, checkpoints))


@models.command()
def card(
    run: Text,
    out: Annotated[
        Path | None, typer.Option(help="A new folder for the card.  [default: card-RUN]", show_default=False)
    ] = None,
    directory: Dir = HERE,
    as_json: AsJson = False,
) -> None:
    """Write the model card of a run's last model, as Markdown for the Hugging Face Hub and as HTML.

    checklists.md beside it answers STARD-AI and CLEAR Derm, item by item, as far as the run can.

    RUN is the number or name of a federation's run, or the --out folder of fl-simulate. All numbers are the
    run's; the licence and the citation are left to you. It contains nothing about a single image or person.

    **Examples**

        fl-server models card 3 --out spring-card

        fl-server models card dermafed-run --json
    """
    from dermafed.server.model_card.card_writer import HTML_FILE, MARKDOWN_FILE, write_card
    from dermafed.server.model_card.checklists import CHECKLISTS_FILE

    folder = out or Path(f"card-{Path(run).resolve().name}")
    for file in (folder / MARKDOWN_FILE, folder / HTML_FILE, folder / CHECKLISTS_FILE):
        if file.exists():  # with a licence that somebody wrote into it
            raise SettingsError("There is already a card", where=file, remedy="Choose another --out")
    markdown, html, checklists = write_card(folder, _facts(run, directory))
    if as_json:
        print_json({"markdown": str(markdown), "html": str(html), "checklists": str(checklists)})
    else:
        print_note(f"Written: {markdown}, {html} and {checklists}")


def export(
    run: Text,
    round: Annotated[str, typer.Argument(show_default=False)],
    file: File,
    directory: Dir = HERE,
    as_json: AsJson = False,
) -> None:
    """Write a model of a federation's run as a .keras file, with a .json file beside it.

    RUN is the run's number or name; ROUND is the number of a saved round (see fl-server models), or best or
    last, best by balanced accuracy on validation; FILE is new and ends in .keras. Research use only.

    **Examples**

        fl-server export 3 best spring.keras

        fl-server export spring-2027 last spring-last.keras --dir alps
    """
    from dermafed.server.coordinator.export import export_model

    record = open_record(directory)
    info = export_model(record, find_run(record, run), round, file)
    if as_json:
        print_json({"model": str(file), "round": info.round, "classes": list(info.model.classes)})
    else:
        text = f"Written: {file} (round {info.round}), and {file.with_suffix('.json').name} beside it"
        print_note(text)


def _facts(run: str, directory: Path) -> CardFacts:
    """The facts of a simulation, if RUN is its folder, or of a run of the federation."""
    from dermafed.server.model_card.run_facts import federated_facts, is_simulation, simulated_facts

    if is_simulation(Path(run)):
        return simulated_facts(Path(run))
    record = open_record(directory)
    return federated_facts(record, find_run(record, run))


def run_folder(run: str, directory: Path) -> Path:
    """The folder of a run's files: a given path, or the folder of a federation's run."""
    from dermafed.server.coordinator.federation_folder import RUNS, SETTINGS_FILE
    from dermafed.server.rounds.checkpoint import federated_folder, has_state

    try:
        return federated_folder(Path(run))
    except SettingsError:
        if Path(run).exists() or not (directory / SETTINGS_FILE).is_file():
            raise
    found = find_run(open_record(directory), run)
    folder = directory / RUNS / found.folder_name
    if not has_state(folder):
        raise SettingsError(
            f"The run '{found.name}' has no model yet", where=folder, remedy="See: fl-server status"
        )
    return folder


def _history_table(rows: list[HistoryRow]) -> Table:
    table = Table(title="Rounds, evaluated on validation images")
    for heading in ("Round", "Train loss", "Loss", "Balanced accuracy", "AUC", "Clinics"):
        table.add_column(heading, justify="right")
    table.add_column("Left out")
    best = best_round(rows)
    for row in rows:
        metrics = (row.train_loss, row.validation_loss, row.validation_balanced_accuracy, row.validation_auc)
        mark = " best" if row.round == best and not guesses(row) else ""
        table.add_row(f"{row.round}{mark}", *map(_number, metrics), str(row.replied), escape(row.left_out))
    return table


def _models_table(folder: Path, checkpoints: list[Checkpoint]) -> Table:
    table = Table(title=escape(str(folder)))
    for heading in ("Round", "File", "Size", "What"):
        table.add_column(heading, justify="right" if heading in ("Round", "Size") else "left")
    for model in checkpoints:
        roles = ", ".join(model.roles) or "before the last"
        table.add_row(str(model.round), model.path.name, f"{model.size / 1e6:.1f} MB", roles)
    return table


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}"
