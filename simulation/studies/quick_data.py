"""The few synthetic lesions that all runs of a quick study share."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from dermafed.simulation.runs.run import Watcher
from dermafed.simulation.runs.run_settings import SYNTHETIC
from dermafed.simulation.studies.study import Study
from dermafed.simulation.synthetic.clinics import DEFAULT_CLINICS
from dermafed.simulation.synthetic.dataset import generate_dataset

IMAGES = 80  # of each clinic
_SIDE = 96  # pixels


def with_drawn_data(study: Study, folder: Path, watcher: Watcher) -> Study:
    """The study, with a data set drawn into its folder where it asks for synthetic data; drawn once."""
    if not any(row.data == SYNTHETIC for row in study.rows.values()):
        return study
    data = folder / "data"
    if not (data / "metadata.csv").exists():
        shutil.rmtree(data, ignore_errors=True)
        clinics = [replace(clinic, images=IMAGES) for clinic in DEFAULT_CLINICS]
        told = watcher.stage("Drawing synthetic lesions")
        generate_dataset(data, profiles=clinics, seed=0, image_size=_SIDE, progress=told)
    rows = {
        name: replace(row, data=str(data)) if row.data == SYNTHETIC else row
        for name, row in study.rows.items()
    }
    return replace(study, rows=rows)
