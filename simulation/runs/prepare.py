"""From a data set to the clinics of a federation: classes, preprocessing, partition, splits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from dermafed.shared.errors import DatasetError
from dermafed.shared.imaging.cache import PreprocessCache, default_cache_folder
from dermafed.shared.imaging.preprocess_settings import PreprocessSettings
from dermafed.shared.lesions.class_map import ClassMap, map_classes
from dermafed.shared.lesions.clinic_split import ClinicSplit, split_folder, write_clinic_split
from dermafed.shared.lesions.readers.columns import ColumnNames
from dermafed.shared.lesions.readers.loading import load_dataset
from dermafed.shared.lesions.record import LesionRecord, Splits
from dermafed.shared.lesions.splits import check_no_duplicates, split_clinics, without_copies
from dermafed.simulation.runs.partition import clinic_of, names_column, partition
from dermafed.simulation.runs.run_settings import RunSettings
from dermafed.simulation.runs.subsets import limit_training_images, select_clinics

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A data set ready for a federation.

    Attributes:
        class_map: the model's classes.
        clinics: each clinic's split, in order of name.
        notes: remarks on the data for readers of the results.
    """

    class_map: ClassMap
    clinics: tuple[ClinicSplit, ...]
    notes: tuple[str, ...]

    def class_counts(self) -> list[int]:
        """Training images of each class over all clinics, in the order of the classes."""
        labels = [record.label for clinic in self.clinics for record in clinic.splits.train]
        return [labels.count(name) for name in self.class_map.names]


def prepare(
    data: Path, settings: RunSettings, preprocess: PreprocessSettings, progress: Progress | None = None
) -> Prepared:
    """Reads, maps, preprocesses, partitions and splits a data set; writes only to the cache.

    Args:
        data: the data set.
        settings: the run's settings.
        preprocess: the preprocessing of the images.
        progress: called with the images preprocessed and their number.

    Raises:
        DatasetError: the data cannot be used; names the file and the row, field or clinic.
        ImageError: an image cannot be read, unless the settings skip it.
    """
    columns = ColumnNames(settings.image, settings.label)
    dataset = load_dataset(data, skip_bad=settings.skip_bad, columns=columns)
    class_map, records, excluded = map_classes(dataset.records, settings.classes)
    records, homeless = _with_clinic(records, settings)
    _clinics(records, settings)  # an error in the clinics is raised before minutes of preprocessing
    records, skipped = _readable(records, preprocess, settings.skip_bad, progress)
    clinics = _clinics(records, settings)
    check_no_duplicates(clinic.splits for clinic in clinics)
    notes = [*dataset.notes, *homeless, *skipped]
    if settings.split == "held-out" and (images := len(records) - _count(clinics)):
        notes.append(f"Images left out of training, for they show lesions of the test: {images}")
    if excluded:
        counts = ", ".join(f"{count} {label}" for label, count in sorted(excluded.items()))
        notes.append(f"Left out, for their diagnosis belongs to none of the classes: {counts}")
    if class_map.note:
        notes.append(class_map.note[0].upper() + class_map.note[1:])
    prepared = Prepared(class_map, clinics, ())
    return replace(prepared, notes=(*notes, *_untrained(prepared)))


def write_clinic_splits(folder: Path, clinics: Sequence[ClinicSplit]) -> tuple[tuple[Path, ...], Path]:
    """Writes a split folder for each clinic and one for the pooled images of all.

    Returns:
        The clinics' folders and the pooled one.
    """
    paths = tuple(split_folder(folder / "clinics", clinic.name) for clinic in clinics)
    for path, clinic in zip(paths, clinics, strict=True):
        write_clinic_split(path, clinic.splits)
    sides = (
        tuple(record for clinic in clinics for record in clinic.splits.sides()[side])
        for side in clinics[0].splits.sides()
    )
    write_clinic_split(folder / "pooled", Splits(*sides))
    return paths, folder / "pooled"


def _untrained(prepared: Prepared) -> list[str]:
    counts = zip(prepared.class_map.names, prepared.class_counts(), strict=True)
    missing = [name for name, images in counts if not images]
    why = "no model can find it, and its probability means nothing"
    return [f"No clinic has a training image of {', '.join(missing)}: {why}"] if missing else []


def _clinics(records: Sequence[LesionRecord], settings: RunSettings) -> tuple[ClinicSplit, ...]:
    seed = settings.seed if settings.split_seed is None else settings.split_seed
    clinics = partition(records, settings.clinics, seed=seed)
    splits = split_clinics(clinics, seed=seed, kind=settings.split)
    if settings.split == "held-out":
        splits = {name: without_copies(own) for name, own in splits.items()}
    # After the split, so that a smaller federation is tested on the same images.
    splits = select_clinics(splits, settings.only)
    splits = limit_training_images(splits, settings.train_images, seed=settings.seed)
    return tuple(ClinicSplit(name, splits[name]) for name in sorted(splits))


def _with_clinic(
    records: Sequence[LesionRecord], settings: RunSettings
) -> tuple[list[LesionRecord], list[str]]:
    """The records; without those that have no clinic, where bad entries are left out."""
    if not (settings.skip_bad and names_column(settings.clinics)):
        return list(records), []
    kept = [record for record in records if clinic_of(record, settings.clinics)]
    if not kept or len(kept) == len(records):  # without any clinic, the column is wrong, which is an error
        return list(records), []
    example = next(record.image_id for record in records if not clinic_of(record, settings.clinics))
    return kept, [f"{len(records) - len(kept)} left out, image without clinic: such as {example}"]


def _count(clinics: Sequence[ClinicSplit]) -> int:
    return sum(len(records) for clinic in clinics for records in clinic.splits.sides().values())


def _readable(
    records: Sequence[LesionRecord], preprocess: PreprocessSettings, skip_bad: bool, progress: Progress | None
) -> tuple[list[LesionRecord], list[str]]:
    """Preprocesses every image into the cache; leaves out unreadable ones where that is allowed."""
    cached = PreprocessCache(default_cache_folder()).load(
        [record.path for record in records],
        preprocess,
        progress=progress,
        on_bad="skip" if skip_bad else "raise",
    )
    notes = [
        f"Skipped {len(cached.skipped)} unreadable images, the first: {p.name}" for p, _ in cached.skipped[:1]
    ]
    if not len(cached.positions):
        raise DatasetError("No image can be read", remedy="Check the image files")
    if preprocess.denoise != "none":
        notes.append(
            f"BM3D denoised {np.sum(cached.denoised)} of {len(cached.positions)} images; the noise of the "
            f"others was too weak to matter (median of all: {np.median(cached.noise_sigmas):.2f} of 255)"
        )
    return [records[index] for index in cached.positions], notes
