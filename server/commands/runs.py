"""``train``, ``stop``, ``resume`` and ``runs``: request and control runs."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from dermafed.console import stderr
from dermafed.server.commands.options import HERE, AsJson, Dir, File, Text, open_record, print_json, when
from dermafed.server.commands.status import follow_run, run_values
from dermafed.server.record.runs_table import RESUMABLE, Status, change_status, find_run, list_runs
from dermafed.shared.errors import SettingsError

Follow = Annotated[
    bool, typer.Option("--follow", help="Show the rounds until the run ends. Ctrl-C ends only the display.")
]


def train(plan: File, directory: Dir = HERE, follow: Follow = False, as_json: AsJson = False) -> None:
    """Request a run: the server offers it to the clinics, then runs its rounds.

    PLAN is a TOML file. Only the name is required; these are the most used keys, with their defaults (all
    keys: docs/federation.md):

    ```toml
    name = "spring-2027"
    clinics = ["graz", "linz"]   # default: all enrolled clinics
    rounds = 32
    weights = "imagenet"         # or none, lite0, or a .h5 file beside the plan
    strategy = "fedavg"
    [model]
    classes = "paper"            # or a list of names
    image_size = 128
    [training]
    epochs = 0.25                # of each clinic's images in a round
    learning_rate = 0.0005
    [rules]
    quorum = 0.5                 # a share of the clinics, or a number
    deadline = "30m"             # to train, and again to evaluate
    approval = "24h"             # for the clinics to agree
    patience = 8                 # rounds without a better model; default: no early end
    ```

    **Examples**

        fl-server train spring.toml --follow

        fl-server train spring.toml --dir alps --json
    """
    from dermafed.server.coordinator.plan_file import request_run
    from dermafed.shared.storage.lock import is_locked

    record = open_record(directory)
    run, asked = request_run(record, plan)
    understood = asked.to_dict()
    if as_json:
        print_json({"number": run.number, "hash": run.hash, "clinics": list(run.clinics), **understood})
    else:
        _print_plan(understood, run.clinics)
        stderr().print(f"Run {run.number}, '{run.name}', is requested. Clinics approve: {run.hash[:12]}")
    if not is_locked(directory):
        stderr().print("The server is not running; the run starts with it: fl-server start")
    if follow:
        follow_run(record, run.name)


def stop(run: Text, directory: Dir = HERE, as_json: AsJson = False) -> None:
    """Stop a run; its last round stays, and resume continues from there.

    RUN is its number or name. An unfinished round is discarded.

    **Examples**

        fl-server stop 3

        fl-server stop spring-2027 --dir alps
    """
    record = open_record(directory)
    found = find_run(record, run)
    moved = change_status(
        record, found.number, [Status.ASKED, Status.PAUSED], Status.STOPPED
    ) or change_status(record, found.number, [Status.AGREEING, Status.RUNNING], Status.STOPPING)
    found = find_run(record, run)
    if not moved and found.status not in (Status.STOPPING, Status.STOPPED):
        raise SettingsError(
            f"The run '{found.name}' is {found.status}", where=run, remedy="There is nothing to stop"
        )
    if as_json:
        print_json({"run": found.number, "name": found.name, "status": found.status})
    else:
        stderr().print(f"Run {found.number}, '{found.name}', is {found.status}")


def resume(run: Text, directory: Dir = HERE, follow: Follow = False, as_json: AsJson = False) -> None:
    """Continue a run that was paused, stopped or failed, from its last round.

    RUN is its number or name. Clinics that approved it are not asked again.

    **Examples**

        fl-server resume 3 --follow

        fl-server resume spring-2027 --dir alps
    """
    record = open_record(directory)
    found = find_run(record, run)
    if not change_status(record, found.number, RESUMABLE, Status.ASKED):
        finished = found.status is Status.FINISHED
        remedy = "There is nothing to continue" if finished else "It continues by itself"
        raise SettingsError(f"The run '{found.name}' is {found.status}", where=run, remedy=remedy)
    if as_json:
        print_json({"run": found.number, "name": found.name, "status": Status.ASKED})
    else:
        stderr().print(f"Run {found.number}, '{found.name}', is requested again")
    if follow:
        follow_run(record, found.name)


def runs(directory: Dir = HERE, as_json: AsJson = False) -> None:
    """List all runs with their status.

    **Examples**

        fl-server runs

        fl-server runs --dir alps --json
    """
    known = list_runs(open_record(directory))
    if as_json:
        print_json({"runs": [run_values(run) for run in known]})
        return
    table = Table(title="Runs")
    for heading in ("Run", "Name", "Status", "Rounds", "Requested", "Ended", "Reason"):
        table.add_column(heading)
    for run in known:
        rounds = f"{min(run.rounds_done, run.rounds)} of {run.rounds}"  # the new last layer is one more
        times = when(run.asked), when(run.ended)
        table.add_row(str(run.number), escape(run.name), run.status, rounds, *times, escape(run.why))
    Console().print(table)


def _print_plan(understood: dict[str, dict[str, object]], clinics: tuple[str, ...]) -> None:
    table = Table(title="The plan", show_header=False)
    table.add_row("clinics", escape(", ".join(clinics)))
    for section, values in understood.items():
        table.add_section()
        for key, value in values.items():
            table.add_row(escape(f"{section}.{key}" if section != "run" else key), escape(str(value)))
    Console().print(table)
