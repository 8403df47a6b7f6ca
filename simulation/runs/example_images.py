"""Example images for the report: the preprocessing steps, and a sheet of each clinic's training images."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from dermafed.shared.imaging.decoding import read_image
from dermafed.shared.imaging.pipeline import stages
from dermafed.shared.imaging.preprocess_settings import PreprocessSettings
from dermafed.shared.lesions.clinic_split import ClinicSplit
from dermafed.shared.lesions.record import LesionRecord
from dermafed.simulation.runs.prepare import Prepared

TILE = 160  # pixels
TILES = 8  # images a clinic

Image = NDArray[np.uint8]


def example_stages(prepared: Prepared, preprocess: PreprocessSettings) -> list[tuple[str, dict[str, Image]]]:
    """One training image of each class that has any, through the preprocessing steps."""
    training = [record for clinic in prepared.clinics for record in clinic.splits.train]
    first = {record.label: record for record in reversed(training)}
    return [
        (name, stages(read_image(first[name].path), preprocess))
        for name in prepared.class_map.names
        if name in first
    ]


def contact_sheet(prepared: Prepared) -> Image:
    """Training images, uint8 (clinics x tile, tiles x tile, 3): a row for each of the first ten clinics."""
    return np.concatenate([_row(clinic) for clinic in prepared.clinics[:10]])


def _row(clinic: ClinicSplit) -> Image:
    records = clinic.splits.train
    step = max(1, len(records) // TILES)
    tiles = [_tile(record) for record in records[::step][:TILES]]
    blank = np.full((TILE, TILE, 3), 255, np.uint8)
    return np.concatenate([*tiles, *[blank] * (TILES - len(tiles))], axis=1)


def _tile(record: LesionRecord) -> Image:
    image = read_image(record.path)
    side = min(image.shape[:2])
    top, left = (image.shape[0] - side) // 2, (image.shape[1] - side) // 2
    square = image[top : top + side, left : left + side]
    return np.asarray(cv2.resize(square, (TILE, TILE), interpolation=cv2.INTER_AREA), np.uint8)
