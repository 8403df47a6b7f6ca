"""Load a clinic's records as labelled arrays, and draw the batches of a round."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from dermafed.shared.errors import DatasetError
from dermafed.shared.imaging.cache import PreprocessCache, default_cache_folder
from dermafed.shared.imaging.preprocess_settings import PreprocessSettings
from dermafed.shared.lesions.record import LesionRecord
from dermafed.shared.model.metadata import encode_metadata
from dermafed.shared.model.model_settings import ModelSettings
from dermafed.shared.training.augment import augment, augmented_lesion


@dataclass(frozen=True)
class LabelledImages:
    """Preprocessed images with their labels.

    Attributes:
        images: uint8 (N, S, S, 3).
        labels: class indices, int64 (N,).
        metadata: float32 (N, M), or ``None`` where the model does not use it.
        lesions: how much of each cell is lesion, float32 (N, G, G), all 0 for an image without a mask;
            ``None`` where no training uses it.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    metadata: NDArray[np.float32] | None = None
    lesions: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def inputs(self, images: NDArray[np.uint8] | NDArray[np.floating], index: NDArray[np.int64]) -> object:
        """Return the model's inputs for images, or their features: float32, with their metadata if any."""
        pixels = images.astype(np.float32)
        return pixels if self.metadata is None else [pixels, self.metadata[index]]


@dataclass(frozen=True)
class Batch:
    """One step's images: model inputs, their indices (B,), and weights (B,), 0 for padding.

    ``lesions`` is how much of each cell is lesion (B, G, G), where the training uses it.
    """

    inputs: object
    index: NDArray[np.int64]
    weights: NDArray[np.float32]
    lesions: NDArray[np.float32] | None = None


def batches(
    data: LabelledImages,
    size: int,
    steps: Iterable[int],
    *,
    seed: int,
    augmented: bool,
    tones: bool = False,
    artefacts: float = 0.0,
) -> Iterator[Batch]:
    """Yield the batches of some steps of an endless training: epoch after epoch, each in random order.

    All batches have one size, so that the model is traced for one shape: an epoch's last batch is
    filled up with images of weight 0, and no image counts twice. A step's batch depends only on
    the step and the seed.

    Args:
        data: the images.
        size: images in a batch.
        steps: numbers of the steps, from 0.
        seed: seed of the orders and the augmentation.
        augmented: whether images are changed at random, see :func:`augment`.
        tones: whether augmentation also changes the skin tone.
        artefacts: the share of images on which augmentation draws an artefact.
    """
    for place in places(len(data), size, steps, seed=seed):
        rng = np.random.default_rng((seed, place.epoch, place.number))
        images = data.images[place.index]
        lesions = None if data.lesions is None else data.lesions[place.index]
        if augmented:
            drawn = partial(augment, tones=tones, artefacts=artefacts)
            images, lesions = _augmented(images, lesions, rng, drawn)
        yield Batch(data.inputs(images, place.index), place.index, place.weights, lesions)


def _augmented(
    images: NDArray[np.uint8],
    lesions: NDArray[np.float32] | None,
    rng: np.random.Generator,
    drawn: Callable[[NDArray[np.uint8], np.random.Generator], NDArray[np.uint8]],
) -> tuple[NDArray[np.uint8], NDArray[np.float32] | None]:
    """Changed copies, and where their lesions are in them."""
    before, copies = [], []
    for image in images:
        before.append(rng if lesions is None else deepcopy(rng))
        copies.append(drawn(image, rng))
    if lesions is not None:
        lesions = np.stack([augmented_lesion(*each) for each in zip(lesions, before, strict=True)])
    return np.stack(copies), lesions


@dataclass(frozen=True)
class Place:
    """Which images a step takes.

    Attributes:
        epoch: from 0.
        number: the batch's number in its epoch, from 0.
        index: the images, int64 (B,).
        weights: their weights, float32 (B,); 0 for those that fill the batch up.
    """

    epoch: int
    number: int
    index: NDArray[np.int64]
    weights: NDArray[np.float32]


def places(images: int, size: int, steps: Iterable[int], *, seed: int) -> Iterator[Place]:
    """Yield which of so many images each step takes, as :func:`batches` describes."""
    for step in steps:
        epoch, number = divmod(step, -(-images // size))
        order = np.random.default_rng((seed, epoch)).permutation(images)
        index = order[number * size : (number + 1) * size]
        weights = np.ones(size, np.float32)
        weights[len(index) :] = 0
        yield Place(epoch, number, np.resize(np.concatenate([index, order]), size), weights)


def steps_per_epoch(data: LabelledImages, size: int) -> int:
    """Return the number of batches of ``size`` in an epoch."""
    return -(-len(data) // size)


def load_labelled(
    records: Sequence[LesionRecord], model: ModelSettings, preprocess: PreprocessSettings
) -> LabelledImages:
    """Load records as the model's inputs and targets.

    Args:
        records: labelled with the model's classes.
        model: the architecture, with the classes and whether metadata is used.
        preprocess: the preprocessing.

    Raises:
        DatasetError: the label of a record is not a class of the model.
        ImageError: an image cannot be read.
    """
    cached = PreprocessCache(default_cache_folder()).load([record.path for record in records], preprocess)
    return label_images(records, cached.images, model)


def label_images(
    records: Sequence[LesionRecord], images: NDArray[np.uint8], model: ModelSettings
) -> LabelledImages:
    """Join records and their preprocessed images, uint8 (N, S, S, 3), as inputs and targets.

    Raises:
        DatasetError: the label of a record is not a class of the model.
    """
    labels = np.array([_class_index(record, model.classes) for record in records], np.int64)
    return LabelledImages(images, labels, encode_metadata(records) if model.metadata else None)


def _class_index(record: LesionRecord, classes: tuple[str, ...]) -> int:
    if record.label not in classes:
        raise DatasetError(
            f"The label '{record.label}' is not a class of the model",
            where=record.path,
            remedy=f"Map it to one of {', '.join(classes)}",
        )
    return classes.index(record.label)
