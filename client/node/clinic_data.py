"""Read and split the clinic's own data as an offer asks, in the same way as a simulation."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dermafed.client.node.reviewed import read_reviewed
from dermafed.shared.lesions.class_map import class_map_for
from dermafed.shared.lesions.clinic_split import (
    SPLIT_FILE,
    ClinicSplit,
    read_clinic_split,
    split_folder,
    write_clinic_split,
)
from dermafed.shared.lesions.patients import patient_groups
from dermafed.shared.lesions.readers.columns import ColumnNames
from dermafed.shared.lesions.readers.loading import load_dataset
from dermafed.shared.lesions.record import LesionRecord
from dermafed.shared.lesions.splits import Kind, check_no_duplicates, split_clinics
from dermafed.shared.protocol.offer import Offer
from dermafed.shared.storage.atomic_files import make_folder, write_json


@dataclass(frozen=True, slots=True)
class ClinicData:
    """A clinic and where its data are.

    Attributes:
        name: the clinic's name; its splits and its seed depend on it.
        data: the data set.
        reviewed: folder of the diagnoses that a person made into records, if there may be any.
        columns: columns of its manifest that go by other names than the accepted ones.
    """

    name: str
    data: Path
    reviewed: Path | None = None
    columns: ColumnNames | None = None


@dataclass(frozen=True, slots=True)
class OfferFolder:
    """The clinic's files for an offer.

    Attributes:
        folder: the offer's folder, named by its hash.
        clinic: the clinic's name.
    """

    folder: Path
    clinic: str

    @property
    def split(self) -> Path:
        """The folder of the clinic's split, named as the clinic."""
        return split_folder(self.folder / "site", self.clinic)

    @property
    def reviewed(self) -> Path:
        """The file that lists the reviewed records which the run began with."""
        return self.folder / "reviewed.json"

    @property
    def answers(self) -> Path:
        """The folder of what was answered in rounds, and the last replies."""
        return self.folder / "answers"

    @property
    def sums(self) -> Path:
        """The file of what was done in secure sums."""
        return self.folder / "sums.json"

    @property
    def transcripts(self) -> Path:
        """The folder of what it was sent and sent in secure sums."""
        return self.folder / "transcripts"

    @property
    def state(self) -> Path:
        """The folder for what the clinic does not share."""
        return self.folder / "state"


def split_clinic_data(clinic: ClinicData, offer: Offer, folder: OfferFolder) -> ClinicSplit:
    """Read the clinic's data, map the labels, split, and write the split; no pixel is read.

    Only reviewed records that existed when the clinic joined the run count: what a person accepts later is
    for the next run, since no split may change.

    Raises:
        DatasetError: the data cannot be used for this offer, or are not those that a run began with.
        SettingsError: the offer does not fit these data.
    """
    reviewed = _reviewed(clinic, folder)
    records = (*load_dataset(clinic.data, columns=clinic.columns).records, *reviewed)
    places = {record.label: str(record.path) for record in reversed(records)}
    class_map = class_map_for(offer.model.classes, places, of=offer.labels, places=places)
    mapped, _ = class_map.apply(records)
    ordered = sorted(mapped, key=lambda record: record.image_id)
    (splits,) = split_clinics({clinic.name: ordered}, seed=offer.seed, kind=_kind_of(offer)).values()
    check_no_duplicates([splits])
    if not _has_begun(folder):
        make_folder(folder.folder)
        write_json(folder.reviewed, {"images": [record.image_id for record in reviewed]})
    write_clinic_split(folder.split, splits)
    return read_clinic_split(folder.split)


def _kind_of(offer: Offer) -> Kind:
    """How to split: with noise for each patient, no patient's side may depend on other patients."""
    return "single" if offer.dp is not None and offer.split == "drawn" else offer.split


def _reviewed(clinic: ClinicData, folder: OfferFolder) -> list[LesionRecord]:
    """The reviewed records of a run: all of them, unless it began with others."""
    records = [] if clinic.reviewed is None else list(read_reviewed(clinic.reviewed))
    if not _has_begun(folder):
        return records
    began = json.loads(folder.reviewed.read_text("utf-8"))["images"] if folder.reviewed.exists() else []
    return [record for record in records if record.image_id in set(began)]


def _has_begun(folder: OfferFolder) -> bool:
    return (folder.split / SPLIT_FILE).exists()


def count_training_images(split: ClinicSplit, classes: tuple[str, ...]) -> NDArray[np.int64]:
    """Training images of each class, int64 (C,)."""
    labels = [record.label for record in split.splits.train]
    return np.array([labels.count(name) for name in classes], np.int64)


def preprocess_clinic_data(split: ClinicSplit, offer: Offer) -> None:
    """Preprocess the images that the run will use, so that no round waits for it.

    Raises:
        ImageError: an image cannot be read.
    """
    paths = [record.path for record in (*split.splits.train, *split.splits.validation)]
    # Imported here: OpenCV takes 16 MB, which a node that does not train never needs.
    from dermafed.shared.imaging.cache import PreprocessCache, default_cache_folder

    PreprocessCache(default_cache_folder()).load(paths, offer.preprocess)


def training_sizes(split: ClinicSplit, offer: Offer) -> tuple[int, int | None]:
    """Training images, and patients where the offer's privacy depends on them."""
    train = split.splits.train
    return len(train), None if offer.dp is None else len(patient_groups(train))
