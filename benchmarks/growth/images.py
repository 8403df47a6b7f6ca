"""Over images: reading and splitting a data set, its cache, the metrics with intervals, calibration.

The data set is synthetic: a table with a row for each image, and pictures of 16 pixels, no two of which are
the same; they are prepared at 32 pixels without BM3D. What the network says of them is drawn at random: three
classes, 256 features. Files are in the machine's memory; up to 15,000 are prepared.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp

import cv2
import numpy as np

from benchmarks.growth.cost import Cost, cost
from dermafed.shared.imaging.cache import PreprocessCache
from dermafed.shared.imaging.preprocess_settings import PreprocessSettings
from dermafed.shared.lesions.clinic_split import read_clinic_split, write_clinic_split
from dermafed.shared.lesions.readers.loading import load_dataset
from dermafed.shared.lesions.record import PAPER_CLASSES, LesionRecord, Splits
from dermafed.shared.lesions.splits import check_no_duplicates, split_clinics
from dermafed.shared.metrics.calibration.calibration import fit_calibration
from dermafed.shared.metrics.calibration.network_outputs import NetworkOutputs
from dermafed.shared.metrics.classification import classification_report

VARIABLE = "images"
SIZES = (100, 300, 1000, 3000, 7000, 15_000, 40_000, 100_000)
LARGER = 5
_SETTINGS = PreprocessSettings(image_size=32, denoise="none")
_FEATURES = 256
_MOST_PREPARED = 15_000  # larger ones would take most of the time of all curves
_MEMORY = Path("/dev/shm")


def costs(images: int) -> Iterator[tuple[str, Cost]]:
    """The cost of each part for so many images."""
    with TemporaryDirectory(dir=_MEMORY if _MEMORY.is_dir() else None) as name:
        folder = Path(name)
        data = _data_set(folder / "data", images)
        yield "read the table", cost(lambda _: load_dataset(data), _nothing)
        records = load_dataset(data).records
        yield "draw the split", cost(lambda _: _split(records), _nothing)
        splits = _split(records)
        yield "look for duplicates", cost(lambda _: check_no_duplicates([splits]), _nothing)
        yield "write and read the split", cost(partial(_written, splits), partial(_empty, folder))
        if images <= _MOST_PREPARED:
            yield from _prepared(records, folder)
    yield from _of_outputs(images)


def _prepared(records: tuple[LesionRecord, ...], folder: Path) -> Iterator[tuple[str, Cost]]:
    """Every image once without the cache, and once from it."""
    caches: list[PreprocessCache] = []
    paths = [record.path for record in records]

    def anew() -> PreprocessCache:
        caches.append(PreprocessCache(_empty(folder)))
        return caches[-1]

    def load(cache: PreprocessCache) -> object:
        return cache.load(paths, _SETTINGS, workers=1)

    yield "prepare and cache", cost(load, anew)
    yield "load from the cache", cost(load, lambda: caches[-1])


def _of_outputs(images: int) -> Iterator[tuple[str, Cost]]:
    """What is made of a network's answers."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, images)
    scores = rng.dirichlet(np.ones(3), images)
    lesions = [f"lesion{number // 2}" for number in range(images)]
    yield (
        "metrics with intervals",
        cost(lambda _: classification_report(labels, scores, PAPER_CLASSES, groups=lesions), _nothing),
    )
    outputs = NetworkOutputs(
        np.log(scores).astype(np.float32), rng.random((images, _FEATURES), np.float32), labels
    )
    yield "calibrate", cost(lambda _: fit_calibration("0" * 64, PAPER_CLASSES, outputs, outputs), _nothing)


def _nothing() -> None:
    return None


def _empty(folder: Path) -> Path:
    return Path(mkdtemp(dir=folder))


def _split(records: tuple[LesionRecord, ...]) -> Splits:
    return split_clinics({"clinic": records}, seed=0)["clinic"]


def _written(splits: Splits, folder: Path) -> None:
    write_clinic_split(folder, splits)
    read_clinic_split(folder)


def _data_set(folder: Path, images: int) -> Path:
    """A table and its pictures; two images of a lesion, three lesions of a patient."""
    (folder / "images").mkdir(parents=True)
    rng = np.random.default_rng(0)
    with (folder / "metadata.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(("image_id", "dx", "lesion_id", "patient_id", "age", "sex"))
        for number in range(images):
            name = f"image{number:07d}"
            picture = rng.integers(0, 256, (16, 16, 3), np.uint8)
            cv2.imwrite(str(folder / "images" / f"{name}.png"), picture)
            lesion, patient = f"lesion{number // 2}", f"patient{number // 6}"
            row = (PAPER_CLASSES[number // 6 % 3], lesion, patient, 40 + number % 30, "female")
            table.writerow((name, *row))
    return folder
