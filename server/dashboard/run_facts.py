"""What the page of a run shows, from the federation's folder."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from dermafed.server.coordinator.current_state import ClinicState, clinic_states, open_exchange, run_folder
from dermafed.server.coordinator.plan_file import parse_plan
from dermafed.server.dashboard.charts import Chart
from dermafed.server.dashboard.plan_words import plan_words
from dermafed.server.dashboard.run_charts import run_charts
from dermafed.server.record.outliers import find_outliers
from dermafed.server.record.record_database import Record
from dermafed.server.record.rounds_table import list_rounds, read_rounds
from dermafed.server.record.runs_table import Run
from dermafed.server.record.silences_table import silence_words
from dermafed.server.rounds.clinic_round import ClinicRound
from dermafed.server.rounds.history import HistoryRow, best_round, collapse, guesses, setbacks
from dermafed.server.rounds.open_exchange import OpenExchange, Traffic, load_exchange
from dermafed.server.rounds.run_alert import alert_line, load_alert
from dermafed.shared.errors import InputError
from dermafed.shared.storage.lock import is_locked

ORDER = ("problem", "silent", "late", "out", "off", "working", "done", "")
"""The conditions of a clinic, those first that a coordinator should look at."""


@dataclass(frozen=True, slots=True)
class ClinicRow:
    """A clinic's line.

    Attributes:
        state: the clinic, its answer and its share.
        condition: one of :data:`ORDER`.
        words: the condition in words.
        last: its part in the last round; NaN where it had none.
        longest: the longest of its steps in any round, in multiples of the round's median.
        traffic: what was sent to it and received from it in the run.
    """

    state: ClinicState
    condition: str
    words: str
    last: ClinicRound
    longest: float
    traffic: Traffic


@dataclass(frozen=True, slots=True)
class RunFacts:
    """The page of a run.

    Attributes:
        run: the run.
        exchange: what it waits for; ``None`` while it is not being executed.
        late: names of the late clinics.
        rows: the clinics that are asked, those first that a coordinator should look at.
        history: its rounds.
        best: number of the best round; 0 where none is better than guessing.
        collapse: that its model is no better than guessing; empty where it is.
        setbacks: the rounds that were rolled back, each in a sentence.
        charts: the curves.
        words: the plan in sentences; empty where this version cannot read it.
        outliers: clinics that keep being out of line, each in a sentence.
        alert: the operating point of the alert for melanoma; empty where it was not measured.
    """

    run: Run
    exchange: OpenExchange | None
    late: Sequence[str]
    rows: Sequence[ClinicRow]
    history: Sequence[HistoryRow]
    best: int
    collapse: str
    setbacks: Sequence[str]
    charts: Sequence[Chart]
    words: Sequence[str]
    outliers: Sequence[str]
    alert: str

    @property
    def conditions(self) -> dict[str, int]:
        """How many clinics are in each condition, in its order."""
        counts = {name: sum(row.condition == name for row in self.rows) for name in ORDER if name}
        return {name: count for name, count in counts.items() if count}

    @property
    def by_answer(self) -> list[ClinicRow]:
        """The same clinics, those first that have not approved the plan."""
        return sorted(self.rows, key=lambda row: (_has_approved(row.state), row.state.name))

    @property
    def traffic(self) -> Traffic:
        """What was sent and received in the run."""
        every = [row.traffic for row in self.rows]
        return Traffic(sum(one.sent for one in every), sum(one.received for one in every))


def run_facts(record: Record, folder: Path, run: Run, *, chosen: str = "") -> RunFacts:
    """Collect them.

    Args:
        record: the federation's database.
        folder: of the federation.
        run: one of its runs.
        chosen: a clinic whose curves are brought out.
    """
    serving, history = is_locked(folder), read_rounds(record, run.number)
    exchange = open_exchange(folder, run, serving=serving)
    late = exchange.late(datetime.now(UTC)) if exchange else []
    states = {one.name: one for one in clinic_states(record, folder, run, serving=serving)}
    asked = [states.get(name, ClinicState(name)) for name in run.clinics]
    last_exchange = load_exchange(run_folder(folder, run))
    traffic = last_exchange.traffic if last_exchange else {}
    parts = [{part.clinic: part for part in row.clinics} for row in history]
    rows = [
        _row(one, clinic_condition(one, exchange, late), parts, traffic.get(one.name, Traffic()))
        for one in asked
    ]
    alert = load_alert(run_folder(folder, run))
    number = best_round(history)
    best = next((row for row in history if row.round == number and not guesses(row)), None)
    return RunFacts(
        run=run,
        exchange=exchange,
        late=late,
        rows=sorted(rows, key=lambda row: (ORDER.index(row.condition), row.state.name)),
        history=history,
        best=best.round if best else 0,
        collapse=collapse(history),
        setbacks=setbacks(history),
        charts=run_charts(history, run.rounds, chosen),
        words=_words(run),
        outliers=[str(one) for one in find_outliers(list_rounds(record, run.number))],
        alert=alert_line(alert) if alert else "",
    )


def _has_approved(state: ClinicState) -> bool:
    return state.answer is not None and not state.answer.reason


def _row(
    state: ClinicState,
    condition: tuple[str, str],
    parts: Sequence[Mapping[str, ClinicRound]],
    traffic: Traffic,
) -> ClinicRow:
    none = ClinicRound(state.name)
    own = [part.get(state.name, none) for part in parts]
    known = [part.times_median for part in own if not math.isnan(part.times_median)]
    return ClinicRow(state, *condition, own[-1] if own else none, max(known, default=math.nan), traffic)


def clinic_condition(
    state: ClinicState, exchange: OpenExchange | None, late: Sequence[str]
) -> tuple[str, str]:
    """A clinic's condition, and the same in words; both empty while the run is not being executed.

    A suspended clinic is out in any case.
    """
    if state.suspended is not None:
        return "out", state.suspended.text
    if exchange is None:
        return "", ""
    if state.name in exchange.problems:
        return "problem", exchange.problems[state.name]
    if state.name in exchange.waiting:
        return _waited_for(exchange, state, late)
    if state.answer is not None and state.answer.reason:
        return "out", state.answer.text
    if state.online is None:
        return "off", "is not connected"
    if state.silent is not None:
        return "silent", silence_words(state.silent)
    if state.answer is not None and not exchange.round:
        return "done", state.answer.text
    if state.name in exchange.turns:
        return "done", f"has replied ({exchange.words})"
    return "", ""


def _waited_for(exchange: OpenExchange, state: ClinicState, late: Sequence[str]) -> tuple[str, str]:
    since = f"asked at {exchange.waiting[state.name][11:19]} UTC"
    if state.online is None:
        return "off", f"is not connected any more; {since}"
    if state.silent is not None:
        return "silent", f"{silence_words(state.silent)}; {exchange.words}: {since}"
    if state.name in late:
        return "late", f"{exchange.words}: {since}, the others have replied"
    return "working", f"{exchange.words}: {since}"


def _words(run: Run) -> list[str]:
    try:
        return plan_words(parse_plan(run.plan, run.plan_path), len(run.clinics))
    except InputError:
        return []
