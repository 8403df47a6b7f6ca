"""Writes a small synthetic data set for each of three clinics, to try a federation.

python -m dermafed.simulation.synthetic FOLDER
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from dermafed.console import run_app
from dermafed.simulation.synthetic.clinics import DEFAULT_CLINICS
from dermafed.simulation.synthetic.dataset import generate_dataset


def main(
    folder: Annotated[Path, typer.Argument(show_default=False, help="Folder for the clinics' folders.")],
    images: Annotated[int, typer.Option(min=3, help="Images of each clinic.")] = 60,
    image_size: Annotated[int, typer.Option(min=32, help="Side in pixels.")] = 96,
    seed: Annotated[int, typer.Option(min=0, help="Seed of all random draws.")] = 0,
) -> None:
    """Draw synthetic lesions for three clinics that differ in patients and cameras."""
    for number, clinic in enumerate(DEFAULT_CLINICS):
        profile = replace(clinic, images=images)
        generate_dataset(folder / clinic.name, profiles=[profile], seed=seed + number, image_size=image_size)
        Console().print(f"{folder / clinic.name}: {images} images", soft_wrap=True)


if __name__ == "__main__":
    app = typer.Typer(add_completion=False)
    app.command()(main)
    run_app(app)
