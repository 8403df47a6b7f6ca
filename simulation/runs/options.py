"""The options of ``fl-simulate`` for typer, and the run that they ask for."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from click import get_current_context
from click.core import ParameterSource

from dermafed.shared.errors import SettingsError
from dermafed.shared.process import cores
from dermafed.shared.settings import KeyInfo, Settings
from dermafed.simulation.runs.run_settings import (
    RunSettings,
    load_settings,
    named_as_options,
    option_keys,
)

PANELS = ("Data", "Training", "Preprocessing", "Run")


def takes_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command an option for every setting of a run, in place of its parameter ``**settings``."""
    own = inspect.signature(command, eval_str=True).parameters.values()
    fixed = [parameter for parameter in own if parameter.kind is not parameter.VAR_KEYWORD]
    parameters = [fixed[0], *_parameters(), *fixed[1:]]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {one.name: one.annotation for one in parameters}
    return command


def _parameters() -> Iterator[inspect.Parameter]:
    keys = [key for key in option_keys().values() if not issubclass(key.kind, Settings)]  # no tables
    for key in sorted(keys, key=lambda key: PANELS.index(key.key.panel)):
        default = None if _depends(key) else key.default
        kind = key.kind if default is not None else key.kind | None
        yield inspect.Parameter(
            key.name,
            inspect.Parameter.POSITIONAL_OR_KEYWORD,
            default=default,
            annotation=Annotated[kind, _option(key, default)],
        )


def _option(key: KeyInfo, default: Any) -> Any:
    name, info = f"--{key.name.replace('_', '-')}", key.key
    default_text = _defaults(key) if _depends(key) else info.otherwise
    return typer.Option(
        f"{name}/--no-{name[2:]}" if default is True else name,
        help=f"{key.help_with_choices}  [default: {default_text}]" if default_text else key.help_with_choices,
        min=key.bounds.get("ge"),
        max=key.bounds.get("le"),
        show_default=default is not None,
        rich_help_panel=info.panel,
    )


def _depends(key: KeyInfo) -> bool:
    return key.key.synthetic is not None or key.key.pretrained is not None


def _defaults(key: KeyInfo) -> str:
    synthetic = key.default if key.key.synthetic is None else key.key.synthetic
    if key.key.otherwise:
        return f"{synthetic} synthetic, {key.key.otherwise}"
    if key.key.pretrained is None:
        return f"{synthetic} synthetic, {key.default} real data"
    real = f"{key.key.pretrained} real data, {key.default} with weights none"
    return f"{synthetic} synthetic, {real}"


def new_run(out: Path | None, values: dict[str, Any]) -> tuple[RunSettings, Path, int]:
    """The settings, folder and threads of a new run, in a folder that is not in use.

    Args:
        out: the folder; by default one named by the time.
        values: the options, by name.

    Raises:
        SettingsError: an option is impossible, or the folder is in use.
    """
    with named_as_options():
        settings = RunSettings(**_with_absolute_data(values))
    folder = out or Path(f"dermafed-run-{datetime.now():%Y%m%d-%H%M%S}")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise SettingsError(
            "The output folder is in use", where=folder, remedy="Choose another --out, or --resume that run"
        )
    # With baselines, or with Ray, processes of one thread each fill the cores.
    threads = 1 if settings.baselines or settings.engine == "ray" else cores()
    return settings.with_seed(settings.seed), folder.resolve(), threads


def resumed_run(resume: Path, out: Path | None, values: dict[str, Any]) -> tuple[RunSettings, Path, int]:
    """The settings, folder and threads of a run to resume, by its own settings; for use within a command.

    Args:
        resume: the run's folder.
        out: must be ``None``.
        values: the options, by name; those typed must be the run's own.

    Raises:
        SettingsError: the folder has no run, or an option differs from the run's.
    """
    settings, threads = load_settings(resume)
    context = get_current_context()
    given = {
        name: value
        for name, value in values.items()
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE
    }
    with named_as_options():
        if "address" in given:  # a cluster that was started again has another
            settings = replace(settings, address=given.pop("address"))
        check_same(settings, _with_absolute_data(given), resume)
    if out is not None:
        raise SettingsError("--out does not go with --resume", remedy="The run continues in its own folder")
    return settings, resume.resolve(), threads


def _with_absolute_data(values: dict[str, Any]) -> dict[str, Any]:
    """The values with the data's path made absolute, so that a folder named "synthetic" is a folder."""
    return values | {"data": str(Path(values["data"]).resolve())} if "data" in values else values


def check_same(before: RunSettings, asked: dict[str, Any], folder: Path) -> None:
    """Refuse options that differ from those of the run to resume.

    Args:
        before: the run's settings.
        asked: the options given on the command line now, by name.
        folder: the run's folder.

    Raises:
        SettingsError: an option differs; names it.
    """
    now = replace(before, **asked)
    for name in option_keys():
        if (given := getattr(now, name)) != (value := getattr(before, name)):
            raise SettingsError(
                f"The run was started with {name} = {value}, not {given}",
                where=folder,
                remedy="Resume it without that option, or start a new run",
            )
