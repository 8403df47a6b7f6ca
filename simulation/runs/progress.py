"""A run's progress, drawn on stderr."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Self
from urllib.parse import unquote

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

from dermafed.console import stderr
from dermafed.server.rounds.history import HISTORY_FILE, read_history
from dermafed.simulation.runs.arms import PREDICTIONS_FILE, Arm
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

    def stage(self, what: str) -> Callable[[int, int], None]:
        """Adds a bar, once for each stage."""
        if what not in self._stages:
            self._stages[what] = self._bars.add_task(what, state="", total=None)
        task = self._stages[what]
        return lambda done, total: self._bars.update(task, completed=done, total=total)

    def training(self, arms: list[Arm]) -> None:
        """Reads every arm's history, which its process writes after each round."""
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
    name, _, site = arm.name.partition(":")
    return f"{unquote(site)} alone" if site else f"{name.capitalize()} training"
