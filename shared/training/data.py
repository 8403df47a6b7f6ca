"""A clinic's images as arrays, and the batches a round trains on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dermafed.shared.errors import DatasetError
from dermafed.shared.imaging.cache import PreprocessCache, default_cache_folder
from dermafed.shared.imaging.preprocess_settings import PreprocessSettings
from dermafed.shared.lesions.record import LesionRecord
from dermafed.shared.model.metadata import encode_metadata
from dermafed.shared.model.model_settings import ModelSettings
from dermafed.shared.training.augment import augment


@dataclass(frozen=True)
class LabelledImages:
    """Preprocessed images with their labels.

    Attributes:
        images: uint8 (N, S, S, 3).
        labels: class indices, int64 (N,).
        metadata: float32 (N, M), or ``None`` where the model does not use it.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    metadata: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def inputs(self, images: NDArray[np.uint8], index: NDArray[np.int64]) -> object:
        """What the model takes for these images: float32 images, with their metadata if any."""
        pixels = images.astype(np.float32)
        return pixels if self.metadata is None else [pixels, self.metadata[index]]


@dataclass(frozen=True)
class Batch:
    """One step's images: model inputs, their indices (B,), and weights (B,), 0 for padding."""

    inputs: object
    index: NDArray[np.int64]
    weights: NDArray[np.float32]


def batches(
    data: LabelledImages, size: int, steps: Iterable[int], *, seed: int, augmented: bool, tones: bool = False
) -> Iterator[Batch]:
    """The batches of some steps of a training without end: one epoch after the other, each in random order.

    All batches have one size, so that the model is traced for one shape: an epoch's last batch is
    filled up with images of weight 0, and no image counts twice. A step's batch depends on nothing
    but the step and the seed.

    Args:
        data: the images.
        size: of a batch.
        steps: their numbers, from 0.
        seed: of the orders and the augmentation.
        augmented: whether images are changed at random.
        tones: whether that changes the tone of the skin too.
    """
    for step in steps:
        epoch, place = divmod(step, steps_per_epoch(data, size))
        order = np.random.default_rng((seed, epoch)).permutation(len(data))
        rng = np.random.default_rng((seed, epoch, place))
        index = order[place * size : (place + 1) * size]
        weights = np.ones(size, np.float32)
        weights[len(index) :] = 0
        index = np.resize(np.concatenate([index, order]), size)
        images = data.images[index]
        if augmented:
            images = np.stack([augment(image, rng, tones=tones) for image in images])
        yield Batch(data.inputs(images, index), index, weights)


def steps_per_epoch(data: LabelledImages, size: int) -> int:
    """How many batches of ``size`` an epoch has."""
    return -(-len(data) // size)


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
