"""``models card``: the model card of a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dermafed.console import stderr
from dermafed.server.commands.options import HERE, AsJson, Dir, Text, open_record, print_json
from dermafed.shared.errors import SettingsError

if TYPE_CHECKING:
    from dermafed.server.model_card.card_facts import CardFacts


def card(
    run: Text,
    out: Annotated[
        Path | None,
        typer.Option(help="A new folder for the card.  [default: card-RUN]", show_default=False),
    ] = None,
    directory: Dir = HERE,
    as_json: AsJson = False,
) -> None:
    """Write the model card of a run's last model, as Markdown for the Hugging Face Hub and as HTML.

    RUN is the number or name of a federation's run, or the --out folder of fl-simulate. All numbers are the
    run's; the licence and the citation are left to you. It contains nothing about a single image or person.

    **Examples**

        fl-server models card 3 --out spring-card

        fl-server models card dermafed-run --json
    """
    from dermafed.server.model_card.card_writer import HTML_FILE, MARKDOWN_FILE, write_card

    folder = out or Path(f"card-{Path(run).resolve().name}")
    for file in (folder / MARKDOWN_FILE, folder / HTML_FILE):
        if file.exists():  # with a licence that somebody wrote into it
            raise SettingsError("There is already a card", where=file, remedy="Choose another --out")
    markdown, html = write_card(folder, _facts(run, directory))
    if as_json:
        print_json({"markdown": str(markdown), "html": str(html)})
    else:
        stderr().print(f"Written: {markdown} and {html}", soft_wrap=True, markup=False)


def _facts(run: str, directory: Path) -> CardFacts:
    """The facts of a simulation, if RUN is its folder, or of a run of the federation."""
    from dermafed.server.model_card.run_facts import federated_facts, is_simulation, simulated_facts
    from dermafed.server.record.runs_table import find_run

    if is_simulation(Path(run)):
        return simulated_facts(Path(run))
    record = open_record(directory)
    return federated_facts(record, find_run(record, run))
