"""Outputs of a classifier: logits for calibration, and pooled features for out-of-distribution detection."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np
from numpy.typing import NDArray

from dermafed.shared.errors import ModelError
from dermafed.shared.explain.network import open_network
from dermafed.shared.model.mirrored_views import mean_logits, mirrored
from dermafed.shared.training.data import LabelledImages

BATCH = 32


@dataclass(frozen=True, slots=True, eq=False)
class NetworkOutputs:
    """Outputs of a classifier for N images.

    Attributes:
        logits: float32 (N, C).
        features: its last activation maps, pooled, float32 (N, K).
        labels: indices of the true classes, (N,).
    """

    logits: NDArray[np.float32]
    features: NDArray[np.float32]
    labels: NDArray[np.int64]


def network_outputs(
    classifier: keras.Model,
    data: LabelledImages,
    progress: Callable[[int, int], None] = lambda done, all: None,
    *,
    views: int = 1,
) -> NetworkOutputs:
    """Apply a classifier to images.

    Args:
        classifier: see :func:`dermafed.shared.explain.network.open_network`.
        data: N images, at least one.
        progress: called with the number of images done and of all images.
        views: mirrored views of an image whose logits are averaged; the features are the image's own.

    Raises:
        ModelError: the classifier has no activation maps, or no softmax.
    """
    network = open_network(classifier)
    if network.activation == "sigmoid":
        raise ModelError(
            "Only a softmax over the classes can be calibrated, this model ends in a sigmoid",
            where=classifier.name,
        )
    parts: list[tuple[NDArray[np.float32], NDArray[np.float32]]] = []
    for start in range(0, len(data), BATCH):
        index = np.arange(start, min(start + BATCH, len(data)))
        padded = np.resize(index, BATCH)  # one shape, traced once
        images = data.images[padded]
        inputs = [data.inputs(mirrored(images, view), padded) for view in range(views)]
        outputs = [network.whole.predict_on_batch(one) for one in inputs]
        features = outputs[0][0].astype(np.float32).mean(axis=(1, 2))
        logits = mean_logits([one[1] for one in outputs])
        parts.append((logits[: len(index)].astype(np.float32), features[: len(index)]))
        progress(int(index[-1]) + 1, len(data))
    logits, features = (np.concatenate(each) for each in zip(*parts, strict=True))
    return NetworkOutputs(logits, features, data.labels)
