"""``fl-simulate study``: runs a study, or continues one, and writes its tables."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dermafed.simulation.runs.default_settings import SYNTHETIC
from dermafed.simulation.studies.study import Study, read_study

if TYPE_CHECKING:
    from dermafed.simulation.runs.run import Watcher
    from dermafed.simulation.studies.study_runs import StudyRun

STUDY_FILE = "study.json"

IMAGES = 80  # in each clinic
_SIDE = 96  # pixels


def study(
    name: Annotated[str, typer.Argument(help="A study that comes with DermaFed, or a TOML file.")],
    data: Annotated[
        Path | None, typer.Option(help="Data set of every run.  [default: the study's]", show_default=False)
    ] = None,
    backbone: Annotated[
        str | None,
        typer.Option(
            help="An EfficientNet of keras.applications, in every run.  [default: the study's]",
            show_default=False,
        ),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            help="Initial weights of every run, as for fl-simulate.  [default: the study's]",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the study; a study started there is continued.  [default: dermafed-study-NAME]",
            show_default=False,
        ),
    ] = None,
    row: Annotated[
        list[str] | None,
        typer.Option(
            help="Run this row only, without tables; may be repeated.  [default: all rows]",
            show_default=False,
        ),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Run the whole study on a few synthetic images, in minutes.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the metrics as JSON, and nothing else, on stdout.")
    ] = False,
) -> None:
    """Run every row of a study with every seed, and compare the results.

    Finished runs are not repeated: the same command continues a study that was stopped.
    Research use only; not a medical device.

    **Examples**

        fl-simulate study ablation --data isic2017 --weights efficientnetb0.h5

        fl-simulate study federation --data clinics --row FedAvg --row FedProx

        fl-simulate study ablation --quick
    """
    given: dict[str, Any] = {} if data is None else {"data": str(data.resolve())}
    given |= {
        name: value for name, value in (("backbone", backbone), ("weights", weights)) if value is not None
    }
    chosen = read_study(name, given, quick=quick)
    folder = (out or Path(f"dermafed-study-{chosen.name}{'-quick' if quick else ''}")).resolve()
    _run(chosen.only(row) if row else chosen, folder, as_json, whole=not row, quick=quick)


def _run(study: Study, folder: Path, as_json: bool, whole: bool, quick: bool) -> None:
    # Imported here, so that --help and bad usage answer at once.
    from rich.markdown import Markdown

    from dermafed.console import results
    from dermafed.server.model_card.card_writer import write_card
    from dermafed.server.model_card.run_facts import simulated_facts
    from dermafed.shared.storage.atomic_files import write_json
    from dermafed.simulation.runs.progress import watching
    from dermafed.simulation.studies.guided import with_views
    from dermafed.simulation.studies.study_runs import run_all, study_runs
    from dermafed.simulation.studies.summary import markdown, published_lines, summarise

    command = shlex.join(["fl-simulate", *sys.argv[1:]])
    with watching() as watcher:
        if quick:
            study = with_synthetic_data(study, folder, watcher)
        trained = study_runs(study, folder)
        run_all(trained, command=command, watcher=watcher)
        runs = with_views(study, trained, watcher)
        lines = [] if study.validation_only else summarise(runs) + published_lines(study.published)
        for done, name in enumerate(study.analyses if whole else ()):
            watcher.stage("Analysing the runs")(done, len(study.analyses))
            write_json(folder / f"{name}.json", {"title": study.title, "lines": _analyse(name, runs, folder)})
        if "fairness" in study.analyses and whole:
            for run in trained:  # their cards have metrics by group too
                write_card(run.folder, simulated_facts(run.folder))
        if whole:  # a part must not replace the tables of the whole study; last: the study is finished then
            _write(study, folder, lines, command)
    if as_json:
        sys.stdout.write(json.dumps(lines, allow_nan=False) + "\n")
        return
    console = results()
    if lines:
        console.print(f"{study.title}, on all test images", highlight=False)
        console.print(Markdown(markdown(lines)))
    console.print(f"{'Tables' if whole else 'Runs'}: {folder}", soft_wrap=True, highlight=False)
    console.print("Research use only; not a medical device.")


def _analyse(name: str, runs: Sequence[StudyRun], folder: Path) -> list[dict[str, Any]]:
    module = import_module(f"{__package__}.{name.replace('-', '_')}")
    lines: list[dict[str, Any]] = module.analyse(runs, folder)
    return lines


def _write(study: Study, folder: Path, lines: list[dict[str, Any]], command: str) -> None:
    from dermafed.shared.storage.atomic_files import write_atomically, write_json
    from dermafed.simulation.studies.summary import as_csv, markdown

    if lines:
        text = [f"# {study.title}", f"    {command}"]
        text += [f"On {tests}:\n\n{markdown(lines, tests=tests)}" for tests in ("all", "mean over clinics")]
        write_atomically(folder / "table.md", "\n\n".join(text).encode())
        write_atomically(folder / "table.csv", as_csv(lines).encode())
    rows = {row: settings.to_dict() for row, settings in study.rows.items()}
    rows |= {row: asdict(view) for row, view in study.views.items()}
    seeds = {row: study.seeds_of(row) for row in study.rows}
    content = {"title": study.title, "command": command, "seeds": seeds, "rows": rows, "figures": lines}
    write_json(folder / STUDY_FILE, content)


def with_synthetic_data(study: Study, folder: Path, watcher: Watcher) -> Study:
    """The study with a synthetic data set in its folder, drawn once, for the rows that need one."""
    # Imported here, so that --help answers at once.
    from dermafed.simulation.synthetic.clinics import DEFAULT_CLINICS
    from dermafed.simulation.synthetic.dataset import draw_once

    if not any(row.data == SYNTHETIC for row in study.rows.values()):
        return study
    clinics = [replace(clinic, images=IMAGES) for clinic in DEFAULT_CLINICS]
    data = str(draw_once(folder / "data", watcher.stage, profiles=clinics, seed=0, image_size=_SIDE))
    rows = {n: replace(row, data=data) if row.data == SYNTHETIC else row for n, row in study.rows.items()}
    return replace(study, rows=rows)
