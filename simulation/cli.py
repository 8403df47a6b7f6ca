"""``fl-simulate``: a federation of many clinics on one machine."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from dermafed.console import Version, run_app
from dermafed.simulation.runs.options import new_run, resumed_run, takes_settings
from dermafed.simulation.runs.run_settings import RunSettings
from dermafed.simulation.studies.command import study

app = typer.Typer(rich_markup_mode="markdown", pretty_exceptions_enable=False)


@app.callback(invoke_without_command=True)
@takes_settings
def simulate(
    context: typer.Context,
    out: Annotated[
        Path | None,
        typer.Option(
            help="New folder for the results.  [default: dermafed-run-DATE]",
            show_default=False,
            rich_help_panel="Run",
        ),
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option(help="Continue the run in this folder, with its settings.", rich_help_panel="Run"),
    ] = None,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json", help="Print the result as JSON, and nothing else, on stdout.", rich_help_panel="Run"
        ),
    ] = False,
    version: Version = False,
    **settings: Any,
) -> None:
    """Train a skin-lesion classifier across several clinics, simulated on this machine.

    Without arguments: three unequal clinics with synthetic dermoscopy, in a few minutes.
    Research use only; not a medical device.

    **Examples**

    The real clinics of a data set, from a weights file, against each alone and all pooled:

        fl-simulate --data ham10000 --clinics clinic --weights efficientnetb0.h5

    Ten clinics with skewed diagnoses, FedProx, without the baselines:

        fl-simulate --data isic2017 --clinics dirichlet:10:0.3 --strategy fedprox --no-baselines
    """
    if context.invoked_subcommand is not None:
        return
    given = {name: value for name, value in settings.items() if value is not None}
    chosen, folder, threads = resumed_run(resume, out, given) if resume else new_run(out, given)
    _run(chosen, folder, threads, as_json)


app.command()(study)


def main() -> None:
    """The command ``fl-simulate``."""
    run_app(app)


def _run(settings: RunSettings, folder: Path, threads: int, as_json: bool) -> None:
    # Imported here, so that --help and bad usage answer at once.
    from dermafed.simulation.runs.progress import print_result, watching
    from dermafed.simulation.studies.fairness import simulate_with_groups

    with watching() as watcher:
        command = shlex.join(["fl-simulate", *sys.argv[1:]])
        result = simulate_with_groups(settings, folder, threads=threads, command=command, watcher=watcher)
    if as_json:
        sys.stdout.write(json.dumps(result, allow_nan=False) + "\n")
    else:
        print_result(result)
