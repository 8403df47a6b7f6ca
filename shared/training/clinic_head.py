"""A clinic's sums for the exact head, from the features before a classifier's last layer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import keras
import numpy as np
from numpy.typing import NDArray

from dermafed.shared.training.clinic_weight import class_weights
from dermafed.shared.training.data import LabelledImages
from dermafed.shared.training.exact_head.head_sums import (
    HeadSums,
    check_enough_images,
    sum_up,
    weights_of_common,
)
from dermafed.shared.training.predict import BATCH_SIZE, apply_in_batches


def clinic_head_sums(
    classifier: keras.Model, data: LabelledImages, class_counts: Sequence[int], least: int
) -> HeadSums:
    """The sums of a clinic's images as they are, without augmentation, batch by batch.

    Classes weigh inversely to their frequency over all clinics; a class with fewer than five images at the
    clinic is left out.

    Args:
        classifier: with the weights to take the features from.
        data: the clinic's training images.
        class_counts: training images of each class over all clinics.
        least: number of images of common classes that the clinic needs.

    Raises:
        DatasetError: too few images remain.
        ModelError: a feature is not finite.
    """
    weights = weights_of_common(
        data.labels, class_weights(np.asarray(class_counts, np.int64)).astype(np.float64)
    )
    check_enough_images(int((weights[data.labels] > 0).sum()), least)
    last = classifier.get_layer("logits").input
    return sum_up(_batches(keras.Model(classifier.input, last), data), int(last.shape[-1]), weights)


def _batches(
    network: keras.Model, data: LabelledImages
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.int64]]]:
    for start in range(0, len(data.images), BATCH_SIZE):
        part = slice(start, start + BATCH_SIZE)
        metadata = None if data.metadata is None else data.metadata[part]
        yield apply_in_batches(network, data.images[part], metadata), data.labels[part]
