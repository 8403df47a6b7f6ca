"""``status``: the server, its current run and its clinics; and the display of runs."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from dermafed.console import print_note
from dermafed.server.commands.clinic_rounds import clinics_table
from dermafed.server.commands.options import HERE, AsJson, Dir, open_record, print_json, when
from dermafed.server.record.clinics_table import list_clinics
from dermafed.server.record.outliers import Outlier, find_outliers
from dermafed.server.record.record_database import Record
from dermafed.server.record.rounds_table import list_answers, list_rounds
from dermafed.server.record.runs_table import ACTIVE, RESUMABLE, Run, Status, find_run, list_runs
from dermafed.server.record.suspensions_table import list_suspensions
from dermafed.server.rounds.clinic_round import ClinicRound
from dermafed.server.rounds.history import round_text
from dermafed.server.rounds.run_alert import alert_line, load_alert
from dermafed.shared.errors import FederationError
from dermafed.shared.storage.lock import is_locked

_REFRESH_SECONDS = 1.0


def status(
    directory: Dir = HERE,
    watch: Annotated[
        bool, typer.Option("--watch", help="Stay and show every change. Ctrl-C ends it.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show whether the server runs, the state of its current run, and each clinic's answer to it.

    **Examples**

        fl-server status --watch

        fl-server status --dir alps --json
    """
    if as_json:
        print_json(current_state(directory))
    elif not watch:
        Console().print(_render(current_state(directory)))
    else:
        with Live(_render(current_state(directory)), console=Console(), auto_refresh=False) as live:
            while True:
                time.sleep(_REFRESH_SECONDS)
                live.update(_render(current_state(directory)), refresh=True)


def current_state(directory: Path) -> dict[str, Any]:
    """The server, the active or last run, its last round, and the clinics; as JSON types."""
    from dermafed.server.coordinator.federation_folder import (
        RUNS,
        TRUST,
        authority_fingerprint,
        load_settings,
    )
    from dermafed.server.coordinator.run_shares import load_shares

    record, settings = open_record(directory), load_settings(directory)
    serving, runs = is_locked(directory), list_runs(record)
    run = next((run for run in reversed(runs) if run.status in ACTIVE), runs[-1] if runs else None)
    answers = (
        {name: asdict(answer) for name, answer in list_answers(record, run.number).items()} if run else {}
    )
    shares = load_shares(directory / RUNS / run.folder_name) if run else {}
    rounds, suspended = list_rounds(record, run.number) if run else [], list_suspensions(record)
    outliers = [asdict(one) for one in find_outliers(rounds)]
    alert = load_alert(directory / RUNS / run.folder_name) if run else None
    clinics = [
        {
            "clinic": clinic.name,
            "online": clinic.online if serving else None,
            "answer": answers.get(clinic.name),
            **({"share": shares[clinic.name]} if clinic.name in shares else {}),
            **({"suspended": asdict(suspended[clinic.name])} if clinic.name in suspended else {}),
        }
        for clinic in list_clinics(record, revoked=False)
    ]
    return {
        "federation": settings.federation,
        "server": serving,
        "address": settings.address,
        "ca_fingerprint": authority_fingerprint(directory / TRUST),
        "run": run_values(run) if run else None,
        "last_round": rounds[-1] if rounds else None,
        "clinics": clinics,
        **({"alert": alert} if alert else {}),
        **({"outliers": outliers} if outliers else {}),
    }


def _render(state: dict[str, Any]) -> RenderableType:
    server = f"runs at {state['address']}" if state["server"] else "is not running (fl-server start)"
    parts: list[RenderableType] = [Text(f"{state['federation']}: the server {server}")]
    if state["run"]:
        parts.append(Text(_run_line(state["run"], state["last_round"])))
    if "alert" in state:
        parts.append(Text(alert_line(state["alert"])))
    parts += [Text(str(Outlier(**one))) for one in state.get("outliers", ())]
    table = Table()
    for heading in ("Clinic", "Connected since", "Answer to the run", "Share of the mean"):
        table.add_column(heading)
    for clinic in state["clinics"]:
        text = _answer(clinic)
        share = f"{100 * clinic['share']:.1f} %" if "share" in clinic else "-"
        table.add_row(escape(clinic["clinic"]), when(clinic["online"]), escape(text), share)
    return Group(*parts, table, *_clinics_of_the_round(state["last_round"]))


def _answer(clinic: dict[str, Any]) -> str:
    if "suspended" in clinic:
        reason = clinic["suspended"]["reason"]
        return "suspended" + (f": {reason}" if reason else "")
    answer = clinic["answer"]
    return f"{answer['decision']} {answer['reason']}".strip() if answer else "-"


def _clinics_of_the_round(row: dict[str, Any] | None) -> list[RenderableType]:
    found = [ClinicRound.from_dict(one) for one in (row or {}).get("clinics", ())]
    return [clinics_table({row["round"]: found})] if row and found else []


def _run_line(run: dict[str, Any], last_round: dict[str, Any] | None) -> str:
    why = f" ({run['why']})" if run["why"] else ""
    line = f"\n{round_line(last_round, run['rounds'])}" if last_round else ""
    return f"Run {run['number']}, {run['name']}: {run['status']}{why}, {run['rounds_done']} rounds done{line}"


def run_values(run: Run) -> dict[str, Any]:
    """A run as JSON types, without the texts of its plan and offer."""
    texts = ("plan", "offer", "plan_path")
    return {name: value for name, value in asdict(run).items() if name not in texts}


def follow_run(record: Record, name: str) -> None:
    """Print each round of a run as it ends, until the run ends.

    Raises:
        FederationError: the run was paused or stopped, or failed.
    """
    last, before = -1, ""
    while True:
        run = find_run(record, name)
        if run.status != before:
            print_note(f"{run.name}: {run.status}")
            before = run.status
        for row in list_rounds(record, run.number):
            if row["round"] > last:
                print_note(round_line(row, run.rounds))
                last = row["round"]
        if run.status is Status.FINISHED:
            return
        if run.status in RESUMABLE:
            raise FederationError(
                f"The run is {run.status}",
                where=run.why,
                remedy=f"To continue: fl-server resume {run.number}",
            )
        time.sleep(_REFRESH_SECONDS)


def round_line(row: dict[str, Any], rounds: int) -> str:
    """A round's metrics in one line."""
    score, loss = row["validation_balanced_accuracy"], row["validation_loss"]
    metrics = f"balanced accuracy {_number(score)}, loss {_number(loss)}"
    clinics = f"{row['replied']} clinics" + (f"; left out: {row['left_out']}" if row["left_out"] else "")
    done = round_text(row["round"], rounds)
    return f"{done[0].upper()}{done[1:]}: {metrics}, {row['seconds']:.0f} s, {clinics}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
