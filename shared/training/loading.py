"""From records to labelled arrays, through the preprocessing cache."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dermafed.shared.errors import DatasetError
from dermafed.shared.imaging.cache import PreprocessCache, default_cache_folder
from dermafed.shared.imaging.preprocess_settings import PreprocessSettings
from dermafed.shared.lesions.record import LesionRecord
from dermafed.shared.model.metadata import encode_metadata
from dermafed.shared.model.model_settings import ModelSettings
from dermafed.shared.training.data import LabelledImages


def load_labelled(
    records: Sequence[LesionRecord], model: ModelSettings, preprocess: PreprocessSettings
) -> LabelledImages:
    """Loads records as the model's inputs and targets.

    Args:
        records: labelled with the model's classes.
        model: the architecture; says whether metadata is used.
        preprocess: how images are prepared.

    Raises:
        DatasetError: a record's label is none of the classes.
        ImageError: an image cannot be read.
    """
    cached = PreprocessCache(default_cache_folder()).load([record.path for record in records], preprocess)
    return labelled(records, cached.images, model)


def labelled(
    records: Sequence[LesionRecord], images: NDArray[np.uint8], model: ModelSettings
) -> LabelledImages:
    """Puts records and their preprocessed images, uint8 (N, S, S, 3), together as inputs and targets.

    Raises:
        DatasetError: a record's label is none of the classes.
    """
    labels = np.array([_class_index(record, model.classes) for record in records], np.int64)
    return LabelledImages(images, labels, encode_metadata(records) if model.metadata else None)


def _class_index(record: LesionRecord, classes: tuple[str, ...]) -> int:
    if record.label not in classes:
        raise DatasetError(
            f"The label '{record.label}' is none of the model's classes",
            where=record.path,
            remedy=f"Map it to one of {', '.join(classes)}",
        )
    return classes.index(record.label)
