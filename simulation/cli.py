"""``fl-simulate``: a federation of many clinics on one machine."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from dermafed.console import run_app
from dermafed.simulation.runs import training_options
from dermafed.simulation.runs.new_or_resumed import new_run, resumed_run
from dermafed.simulation.runs.run_settings import SYNTHETIC, RunSettings
from dermafed.simulation.studies.command import study

app = typer.Typer(add_completion=False, rich_markup_mode="markdown", pretty_exceptions_enable=False)

DATA, TRAINING, PREPROCESSING, RUN = "Data", "Training", "Preprocessing", "Run"


@app.callback(invoke_without_command=True)
def simulate(
    context: typer.Context,
    data: Annotated[
        Path | None,
        typer.Option(
            help="Data set: a folder with a CSV manifest, a folder per class, COCO or LabelMe. "
            "Without it, synthetic dermoscopy is drawn.",
            rich_help_panel=DATA,
        ),
    ] = None,
    clinics: Annotated[
        str,
        typer.Option(
            help="The manifest's column that names the clinic, or iid:N, or dirichlet:N:ALPHA.",
            rich_help_panel=DATA,
        ),
    ] = "clinic",
    classes: Annotated[
        str,
        typer.Option(
            help="paper (melanoma, nevus, seborrheic keratosis), all, or new=a+b,...", rich_help_panel=DATA
        ),
    ] = "paper",
    split: Annotated[
        str,
        typer.Option(
            help="drawn (70 % training, 10 % validation, 20 % test), even (the paper's: equally many images "
            "of each class), given by the manifest's column split, or held-out: what that column does not "
            "call training is the test, and validation is drawn from the rest.",
            rich_help_panel=DATA,
        ),
    ] = "drawn",
    only: training_options.Only = None,
    train_images: training_options.TrainImages = None,
    skip_bad: Annotated[
        bool,
        typer.Option("--skip-bad", help="Leave unreadable images out, and count them.", rich_help_panel=DATA),
    ] = False,
    rounds: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Federated rounds.  [default: 10 synthetic, 32 real data]",
            show_default=False,
            rich_help_panel=TRAINING,
        ),
    ] = None,
    epochs: Annotated[
        float | None,
        typer.Option(
            help="Local epochs a round, or a fraction of one.  [default: 1 synthetic, 0.25 real data]",
            show_default=False,
            rich_help_panel=TRAINING,
        ),
    ] = None,
    strategy: Annotated[
        str,
        typer.Option(
            help="fedavg, fedprox, fedavgm, fedadam, fedyogi or fedadagrad.", rich_help_panel=TRAINING
        ),
    ] = "fedavg",
    backbone: Annotated[
        str,
        typer.Option(help="An EfficientNet of keras.applications.", rich_help_panel=TRAINING),
    ] = "EfficientNetB0",
    weights: Annotated[
        str | None,
        typer.Option(
            help="First weights: imagenet (downloaded), none, lite0, or a .h5 file.  "
            "[default: lite0 synthetic if installed, imagenet real data]",
            show_default=False,
            rich_help_panel=TRAINING,
        ),
    ] = None,
    batch_norm: Annotated[
        str | None,
        typer.Option(
            help="fixed (FixBN), aggregate, frozen, or local (FedBN).  [default: fixed]",
            show_default=False,
            rich_help_panel=TRAINING,
        ),
    ] = None,
    frozen_blocks: training_options.FrozenBlocks = None,
    steps: training_options.Steps = None,
    batch_size: training_options.BatchSize = 16,
    optimizer: training_options.Optimizer = "adamw",
    momentum: training_options.Momentum = 0.9,
    learning_rate: training_options.LearningRate = None,
    schedule: training_options.Schedule = "cosine",
    balance: training_options.Balance = "logits",
    focus: training_options.Focus = 0.0,
    tones: training_options.Tones = False,
    group_balance: training_options.GroupBalance = "none",
    tune: training_options.Tune = 0.0,
    metadata: Annotated[
        bool,
        typer.Option(
            "--metadata", help="Let age, sex and body site enter the model.", rich_help_panel=TRAINING
        ),
    ] = False,
    image_size: Annotated[
        int | None,
        typer.Option(
            min=32,
            help="Side in pixels.  [default: 64 synthetic, 128 real data]",
            show_default=False,
            rich_help_panel=PREPROCESSING,
        ),
    ] = None,
    fit: Annotated[
        str,
        typer.Option(help="How an image becomes square: crop or pad.", rich_help_panel=PREPROCESSING),
    ] = "crop",
    denoise: Annotated[
        str,
        typer.Option(
            help="bm3d (ours), bm3d-package (the reference; its licence forbids commercial use) or none.",
            rich_help_panel=PREPROCESSING,
        ),
    ] = "bm3d",
    clahe: Annotated[
        bool,
        typer.Option("--clahe/--no-clahe", help="Equalise local contrast.", rich_help_panel=PREPROCESSING),
    ] = True,
    explain: Annotated[
        bool,
        typer.Option(
            "--explain",
            help="Also measure, at each clinic, how good explanations of the last model are (minutes).",
            rich_help_panel=TRAINING,
        ),
    ] = False,
    baselines: Annotated[
        bool,
        typer.Option(
            "--baselines/--no-baselines",
            help="Also train each clinic alone, and all data pooled.",
            rich_help_panel=RUN,
        ),
    ] = True,
    engine: Annotated[
        str,
        typer.Option(help="local (in process) or ray (many cores).", rich_help_panel=RUN),
    ] = "local",
    seed: Annotated[int, typer.Option(min=0, help="Of everything random.", rich_help_panel=RUN)] = 0,
    split_seed: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Of the split into training, validation and test.  [default: the seed]",
            show_default=False,
            rich_help_panel=DATA,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="New folder for the results.  [default: dermafed-run-DATE]",
            show_default=False,
            rich_help_panel=RUN,
        ),
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option(help="Go on with the run in this folder, with its settings.", rich_help_panel=RUN),
    ] = None,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json", help="Print the result as JSON, and nothing else, on stdout.", rich_help_panel=RUN
        ),
    ] = False,
) -> None:
    """Train a skin-lesion classifier across several clinics, simulated on this machine.

    Without arguments: three unequal clinics with synthetic dermoscopy, in a few minutes.
    Research use only; not a medical device.

    **Examples**

    The real clinics of a data set, from a weights file, against each alone and all pooled:

        fl-simulate --data ham10000 --clinics clinic --weights efficientnetb0.h5

    Ten clinics with skewed diagnoses, FedProx, without the baselines:

        fl-simulate --data isic2017 --clinics dirichlet:10:0.3 --strategy fedprox --no-baselines
    """
    if context.invoked_subcommand is not None:
        return
    values = {name: value for name, value in locals().items() if name in RunSettings.__dataclass_fields__}
    # Absolute, so that a folder named "synthetic" is a folder.
    values["data"] = str(data.resolve()) if data else SYNTHETIC
    settings, folder, threads = resumed_run(resume, out, values) if resume else new_run(out, values)
    _run(settings, folder, threads, as_json)


app.command()(study)


def main() -> None:
    """The command ``fl-simulate``."""
    run_app(app)


def _run(settings: RunSettings, folder: Path, threads: int, as_json: bool) -> None:
    # Imported now, so that --help and bad usage answer at once.
    from dermafed.simulation.runs.progress import LiveWatcher, print_result
    from dermafed.simulation.runs.run import simulate as run
    from dermafed.simulation.studies.fairness import write_group_comparison

    with LiveWatcher() as watcher:
        command = shlex.join(["fl-simulate", *sys.argv[1:]])
        result = run(settings, folder, threads=threads, command=command, watcher=watcher)
        told = watcher.stage("Judging groups of patients")
        write_group_comparison(settings, folder)
        told(1, 1)
    if as_json:
        sys.stdout.write(json.dumps(result, allow_nan=False) + "\n")
    else:
        print_result(result)
