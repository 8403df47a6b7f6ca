"""Shows a run's progress on stderr, and its result on stdout.

In a terminal the progress is bars; elsewhere, as in a log file or a notebook, a line for each round.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote

from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table

from dermafed.console import print_note, results, stderr
from dermafed.server.rounds.history import HISTORY_FILE, HistoryRow, read_history, round_text
from dermafed.shared.report.sentences import chance, is_synthetic
from dermafed.simulation.runs.arms import PREDICTIONS_FILE, Arm
from dermafed.simulation.runs.results import METRICS, summary_rows
from dermafed.simulation.runs.run import Watcher


@contextmanager
def watching() -> Iterator[Watcher]:
    """Show progress as befits where stderr goes."""
    if stderr().is_terminal:
        with LiveWatcher() as watcher:
            yield watcher
    else:
        yield LineWatcher()


class LineWatcher(Watcher):
    """A line at the start of each stage, and one for each finished round of each arm."""

    def __init__(self) -> None:
        self._stages: set[str] = set()
        self._shown: dict[str, int] = {}

    def stage(self, title: str) -> Callable[[int, int], None]:
        """Names the stage once."""
        if title not in self._stages:
            self._stages.add(title)
            print_note(title)
        return lambda done, total: None

    def training(self, arms: list[Arm]) -> None:
        """Names the rounds that have been finished since the last call."""
        for arm in arms:
            rounds = _rounds(arm)
            for row in rounds[self._shown.get(arm.name, 0) :]:
                print_note(f"{_title(arm)}, {round_text(row.round, arm.plan.rounds)}: {_state(row)}")
            self._shown[arm.name] = len(rounds)


class LiveWatcher(Watcher):
    """Bars for the stages of preparation, and one for each arm's rounds."""

    def __init__(self) -> None:
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=16),
            MofNCompleteColumn(),
        )
        self._bars = Progress(
            *columns,
            TimeElapsedColumn(),
            TextColumn("{task.fields[state]}"),
            console=stderr(),
            refresh_per_second=2,
        )
        self._stages: dict[str, TaskID] = {}
        self._arms: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._bars.stop()

    def stage(self, title: str) -> Callable[[int, int], None]:
        """Adds a bar, once for each stage."""
        if title not in self._stages:
            self._stages[title] = self._bars.add_task(title, state="", total=None)
        task = self._stages[title]
        return lambda done, total: self._bars.update(task, completed=done, total=total)

    def training(self, arms: list[Arm]) -> None:
        """Shows every arm's history, which its process writes after each round."""
        for arm in arms:
            if arm.name not in self._arms:
                self._arms[arm.name] = self._bars.add_task(
                    _title(arm), total=arm.plan.rounds, state="", start=False
                )
            self._show(arm, self._arms[arm.name])

    def _show(self, arm: Arm, task: TaskID) -> None:
        rounds = _rounds(arm)
        if arm.folder.exists():
            self._bars.start_task(task)
        if (arm.folder / PREDICTIONS_FILE).exists():
            self._bars.stop_task(task)
        state = _state(rounds[-1]) if rounds else ""
        self._bars.update(task, completed=len(rounds), state=state)


def _rounds(arm: Arm) -> list[HistoryRow]:
    return read_history(arm.folder) if (arm.folder / HISTORY_FILE).exists() else []


def _state(row: HistoryRow) -> str:
    return f"balanced accuracy {row.validation_balanced_accuracy:.3f}"


def _title(arm: Arm) -> str:
    name, _, clinic = arm.name.partition(":")
    return f"{unquote(clinic)} alone" if clinic else f"{name.capitalize()} training"


def print_result(result: Mapping[str, Any]) -> None:
    """Prints the metrics of every model on each clinic's test images, and the path of the report."""
    drawn = "Synthetic test images" if is_synthetic(result) else "Test images"
    table = Table(title=f"{drawn} that no model was trained or chosen on")
    for heading in ("Test images of", "Model", "Balanced accuracy", "Accuracy", "AUC"):
        left = heading in ("Test images of", "Model")
        table.add_column(heading, justify="left" if left else "right", overflow="fold")
    before = ""
    for clinic, model, metrics in summary_rows(result):
        if before and clinic != before:
            table.add_section()
        shown = [_number(metrics[name]) for name in METRICS]
        table.add_row(escape(clinic) if clinic != before else "", model, *shown)
        before = clinic
    console = results()
    console.print(table)
    console.print(f"Guessing reaches {chance(result):.3f} balanced accuracy.", highlight=False)
    console.print(f"{result['seconds']:.0f} s. Report: {result['report']}", soft_wrap=True, highlight=False)
    console.print("Research use only; not a medical device.")


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
