"""``status``: the server, its current run and its clinics; and the display of runs."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
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
from dermafed.server.record.outliers import Outlier, find_outliers
from dermafed.server.record.record_database import Record
from dermafed.server.record.rounds_table import ClinicAnswer, list_rounds, read_rounds
from dermafed.server.record.runs_table import RESUMABLE, Run, Status, find_run
from dermafed.server.record.silences_table import silence_words
from dermafed.server.record.suspensions_table import Suspension
from dermafed.server.rounds.clinic_round import ClinicRound
from dermafed.server.rounds.history import collapse, round_text, setbacks
from dermafed.server.rounds.open_exchange import OpenExchange
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
    """The server, the active or last run, its last and its open round, and the clinics; as JSON types."""
    from dermafed.server.coordinator.current_state import (
        clinic_states,
        find_current_run,
        open_exchange,
        run_defences,
        run_folder,
    )
    from dermafed.server.coordinator.federation_folder import TRUST, authority_fingerprint, load_settings

    record, settings, serving = open_record(directory), load_settings(directory), is_locked(directory)
    run = find_current_run(record)
    rounds = list_rounds(record, run.number) if run else []
    defences = run_defences(run) if run else []
    outliers = [asdict(one) for one in find_outliers(rounds)]
    alert = load_alert(run_folder(directory, run)) if run else None
    opened = _open_round(open_exchange(directory, run, serving=serving)) if run else None
    history = read_rounds(record, run.number) if run else []
    collapsed, undone = collapse(history), setbacks(history)
    return {
        "federation": settings.federation,
        "server": serving,
        "address": settings.address,
        "ca_fingerprint": authority_fingerprint(directory / TRUST),
        "run": run_values(run) if run else None,
        "last_round": rounds[-1] if rounds else None,
        "clinics": [
            {
                "clinic": clinic.name,
                "online": clinic.online,
                "answer": asdict(clinic.answer) if clinic.answer else None,
                **({"share": clinic.share} if clinic.share is not None else {}),
                **({"suspended": asdict(clinic.suspended)} if clinic.suspended else {}),
                **({"silent": clinic.silent} if clinic.silent else {}),
            }
            for clinic in clinic_states(record, directory, run, serving=serving)
        ],
        **({"alert": alert} if alert else {}),
        **({"defences": defences} if defences else {}),
        **({"outliers": outliers} if outliers else {}),
        **({"open_round": opened} if opened else {}),
        **({"collapse": collapsed} if collapsed else {}),
        **({"setbacks": undone} if undone else {}),
    }


def _open_round(exchange: OpenExchange | None) -> dict[str, Any] | None:
    """Whom the run waits for."""
    if exchange is None or not exchange.turns:
        return None
    return {
        "round": exchange.round,
        "what": exchange.words,
        "attempt": exchange.attempt,
        "asked": len(exchange.turns),
        "replied": exchange.replied,
        "waiting": exchange.waiting,
        "late": exchange.late(datetime.now(UTC)),
        "problems": exchange.problems,
    }


def _render(state: dict[str, Any]) -> RenderableType:
    server = f"runs at {state['address']}" if state["server"] else "is not running (fl-server start)"
    parts: list[RenderableType] = [Text(f"{state['federation']}: the server {server}")]
    if state["run"]:
        parts += [Text(line) for line in run_lines(state)]
    parts += [Text(line) for line in state.get("defences", ())]
    if "alert" in state:
        parts.append(Text(alert_line(state["alert"])))
    parts += [Text(str(Outlier(**one))) for one in state.get("outliers", ())]
    table = Table()
    for heading in ("Clinic", "Connected since", "Answer to the run", "Share of the mean", "Now"):
        table.add_column(heading)
    for clinic in state["clinics"]:
        answer = _answer(clinic)
        share = f"{100 * clinic['share']:.1f} %" if "share" in clinic else "-"
        now = clinic_now(clinic["clinic"], state.get("open_round"), clinic.get("silent"))
        table.add_row(escape(clinic["clinic"]), when(clinic["online"]), escape(answer), share, escape(now))
    return Group(*parts, table, *_clinics_of_the_round(state["last_round"]))


def _answer(clinic: dict[str, Any]) -> str:
    if "suspended" in clinic:
        return Suspension(**clinic["suspended"]).text
    return ClinicAnswer(**clinic["answer"]).text if clinic["answer"] else "-"


def _clinics_of_the_round(row: dict[str, Any] | None) -> list[RenderableType]:
    found = [ClinicRound.from_dict(one) for one in (row or {}).get("clinics", ())]
    return [clinics_table({row["round"]: found})] if row and found else []


def run_lines(state: Mapping[str, Any]) -> list[str]:
    """The run, its open round and its last one, and that it has collapsed; a line each."""
    run, opened, last = state["run"], state.get("open_round"), state["last_round"]
    why = f" ({run['why']})" if run["why"] else ""
    done = min(run["rounds_done"], run["rounds"])  # the new last layer is one more
    lines = [
        f"Run {run['number']}, {run['name']}: {run['status']}{why}, {done} of {run['rounds']} rounds done"
    ]
    if opened:
        lines.append(_open_line(opened, run["rounds"]))
    if last:
        lines.append(round_line(last, run["rounds"]))
    return [*lines, *([state["collapse"]] if "collapse" in state else []), *state.get("setbacks", ())]


def _open_line(opened: Mapping[str, Any], rounds: int) -> str:
    at = f"{round_text(opened['round'], rounds)}, {opened['what']}" if opened["round"] else opened["what"]
    again = f", attempt {opened['attempt']}" if opened["round"] and opened["attempt"] > 1 else ""
    line = f"Now {at}{again}: {opened['replied']} of {opened['asked']} clinics have replied"
    if not opened["waiting"]:
        line += "; the server is at work"
    late = [f"{name} (asked at {opened['waiting'][name][11:19]} UTC)" for name in opened["late"]]
    return f"{line}; late: {', '.join(late)}" if late else line


def clinic_now(clinic: str, opened: Mapping[str, Any] | None, silent: str | None = None) -> str:
    """What a clinic is doing in the open round, or since when it is silent, in words; a dash for neither."""
    if opened and clinic in opened["problems"]:
        return str(opened["problems"][clinic])
    if silent:
        return silence_words(silent)
    if not opened:
        return "-"
    if clinic in opened["waiting"]:
        since = f"since {opened['waiting'][clinic][11:19]} UTC"
        return f"late, asked {since}" if clinic in opened["late"] else f"{opened['what']} {since}"
    return "-"


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
