"""Outputs of a classifier: logits for calibration, and pooled features for out-of-distribution detection."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np
from numpy.typing import NDArray

from dermafed.shared.errors import ModelError
from dermafed.shared.explain.engine import Engine, Pool
from dermafed.shared.explain.network import Network, open_network
from dermafed.shared.model.mirrored_views import mean_logits, mirrored
from dermafed.shared.training.data import LabelledImages

BATCH = 32

_Outputs = tuple[NDArray[np.float32], NDArray[np.float32]]  # logits (B, C) and features (B, K)


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
    model: keras.Model | Network,
    data: LabelledImages,
    progress: Callable[[int, int], None] = lambda done, all: None,
    *,
    views: int = 1,
    engine: Engine | None = None,
) -> NetworkOutputs:
    """Apply a classifier to images.

    Args:
        model: a classifier, see :func:`dermafed.shared.explain.network.open_network`; or it, opened, which
            is traced once for all calls.
        data: N images, at least one.
        progress: called with the number of images done and of all images.
        views: mirrored views of an image whose logits are averaged; the features are the image's own.
        engine: of the network; what a serving node computes by it comes out to the last bit. By default, and
            with metadata, Keras runs the network.

    Raises:
        ModelError: the classifier has no activation maps, or no softmax.
    """
    network = model if isinstance(model, Network) else open_network(model)
    if network.activation == "sigmoid":
        raise ModelError(
            "Only a softmax over the classes can be calibrated, this model ends in a sigmoid",
            where=getattr(model, "name", ""),
        )
    pool = None if engine is None or data.metadata is not None else engine.pool
    parts: list[_Outputs] = []
    for start in range(0, len(data), BATCH):
        index = np.arange(start, min(start + BATCH, len(data)))
        each = [
            _by_keras(network, data, index, view) if pool is None else _pooled(pool, data, index, view)
            for view in range(views)
        ]
        parts.append((mean_logits([logits for logits, _ in each]).astype(np.float32), each[0][1]))
        progress(int(index[-1]) + 1, len(data))
    logits, features = (np.concatenate(each) for each in zip(*parts, strict=True))
    return NetworkOutputs(logits, features, data.labels)


def _by_keras(network: Network, data: LabelledImages, index: NDArray[np.int64], view: int) -> _Outputs:
    padded = np.resize(index, BATCH)  # one shape, traced once
    inputs = data.inputs(mirrored(data.images[padded], view), padded)
    activations, logits, *_ = (each[: len(index)] for each in network.whole.predict_on_batch(inputs))
    return logits, activations.astype(np.float32).mean(axis=(1, 2))


def _pooled(pool: Pool, data: LabelledImages, index: NDArray[np.int64], view: int) -> _Outputs:
    features, outputs = pool(mirrored(data.images[index], view).astype(np.float32))
    return outputs.logits, features
