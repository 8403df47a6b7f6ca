"""``models audit``: what the clinics found when they audited a run's last model for shortcuts."""

from __future__ import annotations

from pathlib import Path

from rich.box import SIMPLE
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from dermafed.server.commands.models import run_folder
from dermafed.server.commands.options import HERE, AsJson, Dir, Text, print_json
from dermafed.shared.errors import SettingsError


def audit(run: Text, directory: Dir = HERE, as_json: AsJson = False) -> None:
    """Show how much a run's last model reads from what is not the lesion: the clinics' counts, by artefact.

    The clinics count after the last round where the plan has audit_model = true, or with fl-simulate
    --audit-model. RUN is as for fl-server models list. Research use only; not a medical device.

    **Examples**

        fl-server models audit 3

        fl-server models audit dermafed-run --json
    """
    from dermafed.server.rounds.run_audit import load_run_audit

    folder = run_folder(run, directory)
    found = load_run_audit(folder)
    if found is None:
        raise SettingsError(
            "The model of this run was not audited",
            where=folder,
            remedy="Set audit_model = true in its plan, or run fl-simulate --audit-model",
        )
    if as_json:
        print_json({"folder": str(folder), **found})
    else:
        _print(found, folder)


def _print(found: dict[str, object], folder: Path) -> None:
    from dermafed.shared.report.audit_tables import DASH, HOW, audit_tables, counted

    console = Console(highlight=False)
    console.print(escape(f"{folder}, round {found['round']}: {counted(found)}"), soft_wrap=True)
    tables = audit_tables(found)
    for one in tables:
        table = Table(title=f"\n{one.title}", title_justify="left", box=SIMPLE, show_edge=False)
        table.add_column("Artefact")
        for name in one.columns:
            table.add_column(escape(name), justify="right")
        for name, cells in one.rows:
            table.add_row(name, *cells)
        console.print(table)
    console.print(escape(f"{HOW} {DASH}" if tables else "No clinic answered."), soft_wrap=True)
