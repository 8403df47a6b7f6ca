"""``fl-client calibrate``: how far a model's numbers can be trusted, fitted to a clinic's own images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dermafed.client.commands.options import HERE, AsJson, Folder, print_json
from dermafed.client.commands.stages import stages


def calibrate(
    model: Annotated[
        str,
        typer.Option(
            help="A model file (.keras), its .json beside it; or a model of fl-client models, or last.",
            show_default=False,
        ),
    ],
    data: Annotated[
        Path | None,
        typer.Option(help="Labelled images.  [default: those of clinic.toml]", show_default=False),
    ] = None,
    folder: Folder = HERE,
    as_json: AsJson = False,
) -> None:
    """Fit how far a model's numbers can be trusted, on the clinic's own labelled images.

    Writes MODEL.trust.json beside the model: a temperature for its probabilities, the least sure answers that
    are called unsure, and (MODEL.trust.npz, which stays here) what lies outside the images that were seen.
    Validation images judge; training images only tell what was seen; test images are left alone.
    Research use only; not a medical device.

    **Examples**

    The model that the node took home last, on the clinic's validation images of that run:

        fl-client calibrate --model last

    A model file, on other labelled images, as JSON:

        fl-client calibrate --model model.keras --data our_images --json
    """
    from dermafed.client.clinic.diagnosis.model import open_model
    from dermafed.client.evaluation.calibrate import calibrate as fit
    from dermafed.client.evaluation.calibrate import given_images, own_images
    from dermafed.client.node.home import open_home
    from dermafed.shared.metrics.calibration.calibration_file import (
        calibration_files,
        figures,
        save_calibration,
    )

    # A model file with data of its own needs no clinic's folder.
    opened = open_model(model, None if model.endswith(".keras") else open_home(folder))
    images = own_images(opened, open_home(folder)) if data is None else given_images(opened, data)
    with stages() as stage:
        calibration = fit(opened, images, stage)
    save_calibration(opened.file, calibration)
    files = [str(path) for path in calibration_files(opened.file) if path.exists()]
    if as_json:
        print_json(
            {"model": opened.used.name, **figures(calibration), "notes": [images.note], "files": files}
        )
        return
    from dermafed.client.evaluation.calibration_table import print_calibration

    print_calibration(opened.used.name, calibration, [images.note], files)
