"""Shows a run's progress on stderr, and its result on stdout."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote

from rich.console import Console
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

from dermafed.console import stderr
from dermafed.server.rounds.history import HISTORY_FILE, read_history
from dermafed.simulation.runs.arms import PREDICTIONS_FILE, Arm
from dermafed.simulation.runs.results import METRICS, summary_rows
from dermafed.simulation.runs.run import Watcher


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
        rounds = read_history(arm.folder) if (arm.folder / HISTORY_FILE).exists() else []
        if arm.folder.exists():
            self._bars.start_task(task)
        if (arm.folder / PREDICTIONS_FILE).exists():
            self._bars.stop_task(task)
        latest = rounds[-1].validation_balanced_accuracy if rounds else None
        state = "" if latest is None else f"balanced accuracy {latest:.3f}"
        self._bars.update(task, completed=len(rounds), state=state)


def _title(arm: Arm) -> str:
    name, _, clinic = arm.name.partition(":")
    return f"{unquote(clinic)} alone" if clinic else f"{name.capitalize()} training"


def print_result(result: Mapping[str, Any]) -> None:
    """Prints the metrics of every model on each clinic's test images, and the path of the report."""
    table = Table(title="Test images that no model was trained or chosen on")
    for heading in ("Test images of", "Model", "Balanced accuracy", "Accuracy", "AUC"):
        table.add_column(heading, justify="left" if heading in ("Test images of", "Model") else "right")
    before = ""
    for clinic, model, metrics in summary_rows(result):
        if before and clinic != before:
            table.add_section()
        shown = [_number(metrics[name]) for name in METRICS]
        table.add_row(clinic if clinic != before else "", model, *shown)
        before = clinic
    console = Console()
    console.print(table)
    console.print(f"{result['seconds']:.0f} s. Report: {result['report']}", soft_wrap=True, highlight=False)
    console.print("Research use only; not a medical device.")


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
