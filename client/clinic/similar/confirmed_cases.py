"""Build the index: the clinic's labelled images and accepted diagnoses, and what the model makes of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import keras
import numpy as np
from numpy.typing import NDArray

from dermafed.client.clinic.diagnosis.opened_model import OpenedModel
from dermafed.client.clinic.similar.case_index import Case, CaseIndex, load_index
from dermafed.client.node.home import Home, read_settings
from dermafed.client.node.reviewed import read_reviewed
from dermafed.shared.imaging.cache import PreprocessCache, Progress, default_cache_folder
from dermafed.shared.imaging.decoding import content_digest
from dermafed.shared.lesions.class_map import class_map_for
from dermafed.shared.lesions.readers.loading import load_dataset
from dermafed.shared.lesions.record import LesionRecord
from dermafed.shared.model.image_features import features_network
from dermafed.shared.model.metadata import encode_metadata
from dermafed.shared.training.predict import apply_in_batches

Stage = Callable[[str], Progress]

_PART = 256  # images in memory at once


def update_index(home: Home, model: OpenedModel, stage: Stage) -> CaseIndex:
    """The index of the clinic's cases as they are now; only new and changed images pass the network.

    An image that cannot be read is left out.

    Args:
        home: the clinic's folder; the index is saved there.
        model: that gives the features.
        stage: called with the name of a stage; returns its progress callback (images done, images).

    Raises:
        DatasetError: the clinic's data cannot be read.
        StorageError: the index, or the cache, cannot be written.
    """
    records, known = _confirmed(home, model), load_index(home.similar, model.used.sha256)
    images = {} if known is None else _images(known)
    new = [record for record in records if _key(record) not in images]
    for record, row in _features(new, model, stage("Preparing similar cases")):
        images[_key(record)] = content_digest(record.path), row
    if new:  # that took long: a case may have been forgotten meanwhile
        records = _confirmed(home, model)
    chosen = [record for record in records if _key(record) in images]
    cases = tuple(_case(record, images[_key(record)][0]) for record in chosen)
    rows = [images[_key(record)][1] for record in chosen]
    index = CaseIndex(model.used.sha256, cases, np.array(rows, np.float32).reshape(len(rows), -1))
    if known is None or known.cases != cases:
        index.save(home.similar)
    return index


def _confirmed(home: Home, model: OpenedModel) -> list[LesionRecord]:
    """The clinic's records with a class of the model, in order of ``image_id``."""
    settings = read_settings(home)
    data = load_dataset(settings.data, columns=settings.columns, skip_bad=True).records
    records = (*data, *read_reviewed(home.reviewed))
    places = {record.label: str(record.path) for record in reversed(records)}
    card = model.card
    classes = class_map_for(card.model.classes, places, of=card.labels, places=places, any_number=True)
    mapped, _ = classes.apply(records)
    return sorted({record.image_id: record for record in mapped}.values(), key=lambda record: record.image_id)


def _features(
    records: Sequence[LesionRecord], model: OpenedModel, progress: Progress
) -> Iterator[tuple[LesionRecord, NDArray[np.float32]]]:
    network: keras.Model | None = None
    for start in range(0, len(records), _PART):
        network = network or features_network(model.classifier)
        part = records[start : start + _PART]
        loaded = PreprocessCache(default_cache_folder()).load(
            [record.path for record in part], model.card.preprocess, on_bad="skip"
        )
        readable = [part[at] for at in loaded.positions]
        metadata = encode_metadata(readable) if model.card.model.metadata else None
        yield from zip(readable, apply_in_batches(network, loaded.images, metadata), strict=True)
        progress(start + len(part), len(records))


def _images(index: CaseIndex) -> dict[tuple[str, str], tuple[str, NDArray[np.float32]]]:
    """The digest and the features of each image that is known, by its path and stamp."""
    rows = zip(index.cases, index.features, strict=True)
    return {(case.path, case.stamp): (case.sha256, row) for case, row in rows}


def _key(record: LesionRecord) -> tuple[str, str]:
    return str(record.path), _stamp(record)


def _stamp(record: LesionRecord) -> str:
    """The size and time of the image file; of one that is gone, none."""
    try:
        status = record.path.stat()
    except OSError:
        return ""
    return f"{status.st_size}-{status.st_mtime_ns}"


def _case(record: LesionRecord, sha256: str) -> Case:
    return Case(
        id=record.image_id,
        diagnosis=record.label,
        lesion=record.lesion,
        path=str(record.path),
        stamp=_stamp(record),
        sha256=sha256,
        confirmed_by=record.attributes.get("confirmed_by", ""),
    )
