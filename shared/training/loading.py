"""From records to labelled arrays, through the preprocessing cache."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from shared.lesions import LesionRecord
from shared.model.metadata import encode_metadata
from shared.model.settings import ModelSettings
from shared.preprocess import PreprocessCache, PreprocessSettings, default_cache_folder
from shared.training.data import LabelledImages


def load_labelled(
    records: Sequence[LesionRecord], model: ModelSettings, preprocess: PreprocessSettings
) -> LabelledImages:
    """Loads records as the model's inputs and targets.

    Args:
        records: labelled with the model's classes.
        model: the architecture; says whether metadata is used.
        preprocess: how images are prepared.

    Raises:
        ImageError: an image cannot be read.
    """
    cached = PreprocessCache(default_cache_folder()).load([record.path for record in records], preprocess)
    labels = np.array([model.classes.index(record.label) for record in records], np.int64)
    return LabelledImages(cached.images, labels, encode_metadata(records) if model.metadata else None)
