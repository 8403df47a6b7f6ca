"""On what and how a clinic trains: options of ``fl-simulate``, as its signature takes them."""

from __future__ import annotations

from typing import Annotated

import typer

_PANEL = "Training"

FrozenBlocks = Annotated[
    int | None,
    typer.Option(
        min=0,
        max=7,
        help="How many of the first blocks keep their weights.  [default: 4 pretrained, else 0]",
        show_default=False,
        rich_help_panel=_PANEL,
    ),
]
Only = Annotated[
    str | None,
    typer.Option(
        help="Names of the clinics that take part, separated by commas.  [default: all]",
        show_default=False,
        rich_help_panel="Data",
    ),
]
TrainImages = Annotated[
    str | None,
    typer.Option(
        help="Training images to keep at most: N of every clinic, or CLINIC:N of one.  [default: all]",
        show_default=False,
        rich_help_panel="Data",
    ),
]
Steps = Annotated[
    int | None,
    typer.Option(
        min=1, help="Local steps a round, in place of --epochs.", show_default=False, rich_help_panel=_PANEL
    ),
]
BatchSize = Annotated[int, typer.Option(min=1, help="Images a step.", rich_help_panel=_PANEL)]
Optimizer = Annotated[str, typer.Option(help="adamw or sgd.", rich_help_panel=_PANEL)]
Momentum = Annotated[float, typer.Option(help="Nesterov's, of sgd.", rich_help_panel=_PANEL)]
LearningRate = Annotated[
    float | None,
    typer.Option(
        help="The schedule's peak.  [default: 0.001 synthetic, 0.0005 real data]",
        show_default=False,
        rich_help_panel=_PANEL,
    ),
]
Schedule = Annotated[str, typer.Option(help="cosine (with a warm-up) or constant.", rich_help_panel=_PANEL)]
Balance = Annotated[
    str,
    typer.Option(help="Against unequal classes: none, weights, logits or global.", rich_help_panel=_PANEL),
]
Focus = Annotated[float, typer.Option(help="Gamma of the focal loss.", rich_help_panel=_PANEL)]
Tones = Annotated[
    bool,
    typer.Option("--tones", help="Give training images other skin tones at random.", rich_help_panel=_PANEL),
]
Tune = Annotated[
    float,
    typer.Option(
        min=0,
        help="Passes each clinic goes on alone after the last round, to be judged with its own model too.",
        rich_help_panel=_PANEL,
    ),
]
GroupBalance = Annotated[
    str,
    typer.Option(help="Against unequal groups of patients: none, age, sex or site.", rich_help_panel=_PANEL),
]
