"""From what was typed: the settings, folder and threads of a new run, or of one to go on with."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from click import get_current_context
from click.core import ParameterSource

from dermafed.shared.errors import SettingsError
from dermafed.shared.process import cores
from dermafed.simulation.runs.run_settings import RunSettings, check_same, load_settings


def new_run(out: Path | None, values: dict[str, Any]) -> tuple[RunSettings, Path, int]:
    """A new run, in a folder that is not in use.

    Args:
        out: the folder asked for; one named by the time by default.
        values: the options, by name.

    Raises:
        SettingsError: the folder is in use.
    """
    settings = RunSettings(**values).resolved()
    folder = out or Path(f"dermafed-run-{datetime.now():%Y%m%d-%H%M%S}")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise SettingsError(
            "The output folder is in use", where=folder, remedy="Choose another --out, or --resume that run"
        )
    # With baselines, processes of one thread each fill the cores.
    return settings, folder.resolve(), 1 if settings.baselines else cores()


def resumed_run(resume: Path, out: Path | None, values: dict[str, Any]) -> tuple[RunSettings, Path, int]:
    """A run to go on with, by its own settings; for use within a command.

    Args:
        resume: the run's folder.
        out: must be ``None``.
        values: the options, by name; those typed must be the run's own.

    Raises:
        SettingsError: the folder holds no run, or an option differs from the run's.
    """
    settings, threads = load_settings(resume)
    context = get_current_context()
    given = {
        name: value
        for name, value in values.items()
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE
    }
    check_same(settings, given, resume)
    if out is not None:
        raise SettingsError("--out does not go with --resume", remedy="The run goes on in its own folder")
    return settings, resume.resolve(), threads
