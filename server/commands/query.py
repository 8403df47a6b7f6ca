"""``query``: ask the clinics for counts, before anyone trains, and show what they tell."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.box import SIMPLE
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from dermafed.console import print_note
from dermafed.server.commands.options import HERE, AsJson, Dir, open_record, print_json
from dermafed.shared.errors import FederationError, SettingsError

if TYPE_CHECKING:
    from dermafed.server.coordinator.query_answers import QueryAnswers
    from dermafed.server.record.record_database import Record
    from dermafed.shared.counts.lesion_counts import LesionCounts
    from dermafed.shared.counts.monthly_counts import MonthlyCounts

_LOOK_SECONDS = 0.5
_COLUMNS = 6  # clinics side by side

What = Annotated[Literal["lesions", "drift"], typer.Argument(show_default=False)]


def query(
    what: What = "lesions",
    directory: Dir = HERE,
    last: Annotated[bool, typer.Option("--last", help="Show the last answers, and ask nobody.")] = False,
    as_json: AsJson = False,
) -> None:
    """Ask the connected clinics for counts, and show those of the clinics that allow it.

    WHAT is lesions (by diagnosis, age, sex, body site and skin type; before anyone trains) or drift (answers,
    alerts and disagreements of the served model by month). The tables are always the same, small counts are
    hidden, and a clinic repeats its answer for 30 days. While a run is executed, the query waits for its end.

    **Examples**

        fl-server query

        fl-server query drift --dir alps --json
    """
    from dermafed.server.coordinator.query_answers import load_drift, load_lesions

    record = open_record(directory)
    if not last:
        _ask(record, directory, what)
    load = load_lesions if what == "lesions" else load_drift
    found: QueryAnswers[Any] | None = load(directory)
    if found is None:
        raise SettingsError("Nobody has asked yet", where=directory, remedy="Leave out --last")
    if as_json:
        print_json(found.to_dict())
        return
    show = _print_lesions if what == "lesions" else _print_drift
    show(found)
    for clinic, why in sorted(found.left_out.items()):
        print_note(f"{clinic} told nothing: {why}")


def _ask(record: Record, directory: Path, what: Literal["lesions", "drift"]) -> None:
    """Request the query, and wait for its end."""
    from dermafed.server.record.queries_table import add_query, find_query
    from dermafed.shared.storage.lock import is_locked

    if not is_locked(directory):
        raise SettingsError(
            "The server is not running: nobody can be asked",
            where=directory,
            remedy="Start it; or see the last answers: fl-server query --last",
        )
    number = add_query(record, what)
    while (found := find_query(record, number)).ended is None:
        if not is_locked(directory):
            raise FederationError("The server has ended", remedy="Start it again: the clinics are asked then")
        time.sleep(_LOOK_SECONDS)
    if found.why:
        raise FederationError(f"The clinics could not be asked: {found.why}")


def _print_lesions(found: QueryAnswers[LesionCounts]) -> None:
    from dermafed.server.coordinator.count_tables import FEW, lesion_tables

    console = Console(highlight=False)
    clinics = sorted(found.clinics)
    for one in lesion_tables(found):
        table = Table(title=f"\n{one.title}", title_justify="left", box=SIMPLE, show_edge=False)
        table.add_column("")
        table.add_column("All, at least", justify="right")
        for name in clinics if len(clinics) <= _COLUMNS else ():
            table.add_column(escape(name), justify="right")
        for row in one.rows:
            own = row.clinics if len(clinics) <= _COLUMNS else ()
            table.add_row(row.name, str(row.least), *own)
        console.print(table)
    more = "" if len(clinics) <= _COLUMNS else f" {len(clinics)} clinics: --json has each."
    console.print(f"\n{FEW}{more}" if clinics else "No clinic told anything.", soft_wrap=True)


def _print_drift(found: QueryAnswers[MonthlyCounts]) -> None:
    from dermafed.server.coordinator.count_tables import FEW, drift_lines
    from dermafed.shared.counts.monthly_counts import KINDS

    lines = drift_lines(found)
    console = Console(highlight=False)
    for line in lines:
        table = Table(title=f"\n{escape(line.clinic)}", title_justify="left", box=SIMPLE, show_edge=False)
        table.add_column("Month")
        for kind in KINDS:
            table.add_column(kind.capitalize(), justify="right")
        for month, counts in line.months:
            table.add_row(month, *counts)
        console.print(table)
        for sentence in line.departures:
            console.print(escape(sentence), soft_wrap=True)
    console.print(f"\n{FEW}" if lines else "No clinic told anything.", soft_wrap=True)
