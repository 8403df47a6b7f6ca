"""Masked passes: what the network says of one image seen through many masks."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import keras
import numpy as np

from dermafed.shared.errors import SettingsError
from dermafed.shared.explain.maps import Float, interpolation
from dermafed.shared.explain.network import Network

log = logging.getLogger("dermafed.explain")

BATCH = 16  # of TensorFlow's passes; larger ones are no faster on a CPU


class Outputs(NamedTuple):
    """What the network says of N images: logits and probabilities, float32 (N, C)."""

    logits: Float
    probabilities: Float


@dataclass(frozen=True, slots=True)
class Engine:
    """A way to run masked passes.

    Attributes:
        name: ``"openvino"`` or ``"tensorflow"``.
        run: from masks (N, h, w) in [0, 1], an image (H, W, 3) and a fill (H, W, 3), all float32, to
            the outputs of ``X * H + B * (1 - H)``, H the enlarged masks.
        look: from an image to its activations (h, w, K) and its outputs, N = 1.
        predict: from whole images (N, H, W, 3) to their outputs.
    """

    name: str
    run: Callable[[Float, Float, Float], Outputs]
    look: Callable[[Float], tuple[Float, Outputs]]
    predict: Callable[[Float], Outputs]


def best_engine(network: Network, wanted: str | None = None) -> Engine:
    """The engine named, or OpenVINO where it is installed and can take the network, else TensorFlow.

    Args:
        network: what to run.
        wanted: ``"openvino"``, ``"tensorflow"``, or ``None`` for the fastest that works.

    Raises:
        SettingsError: the engine named is unknown, not installed, or cannot take the network.
    """
    if wanted not in (None, "openvino", "tensorflow"):
        raise SettingsError(f"There is no engine '{wanted}'", remedy="Use openvino or tensorflow")
    masked = masked_model(network)
    if wanted == "tensorflow":
        return keras_engine(masked, network)
    try:
        from dermafed.shared.explain.openvino_engine import openvino_engine

        return openvino_engine(masked, network)
    except Exception as error:  # an optional accelerator: any failure, of any type, means doing without
        if wanted is None:
            log.info("TensorFlow instead of OpenVINO: %s", error)
            return keras_engine(masked, network)
        raise SettingsError(
            f"OpenVINO cannot run this network: {error}", remedy="Install dermafed[explain]"
        ) from error


def masked_model(network: Network) -> keras.Model:
    """The network behind a mask, one graph: masks (N, h, w), image and fill (1, H, W, 3) to its outputs."""
    masks = keras.Input(network.cells, name="masks")
    image = keras.Input(batch_shape=(1, *network.size, 3), name="image")
    fill = keras.Input(batch_shape=(1, *network.size, 3), name="fill")
    rows, columns = (interpolation(*pair) for pair in zip(network.size, network.cells, strict=True))
    enlarged = keras.ops.matmul(keras.ops.matmul(rows, masks), columns.T)
    masked = fill + keras.ops.expand_dims(enlarged, -1) * (image - fill)
    return keras.Model([masks, image, fill], network.model(masked))


def keras_engine(masked: keras.Model, network: Network) -> Engine:
    """The masked model as Keras itself runs it: one traced graph."""

    def batch(masks: Float, image: Float, fill: Float) -> tuple[Float, Outputs]:
        # Filled up to one shape, so that it is traced once.
        padded = np.zeros((BATCH, *network.cells), np.float32)
        padded[: len(masks)] = masks
        activations, *scores = masked.predict_on_batch([padded, image[None], fill[None]])
        return activations[0], Outputs(*(score[: len(masks)] for score in scores))

    def run(masks: Float, image: Float, fill: Float) -> Outputs:
        parts = [batch(masks[at : at + BATCH], image, fill)[1] for at in range(0, len(masks), BATCH)]
        return Outputs(*map(np.concatenate, zip(*parts, strict=True)))

    def look(image: Float) -> tuple[Float, Outputs]:
        return batch(np.ones((1, *network.cells), np.float32), image, np.zeros_like(image))

    def predict(images: Float) -> Outputs:
        starts = range(0, len(images), BATCH)
        parts = [network.model.predict_on_batch(images[at : at + BATCH])[1:] for at in starts]
        return Outputs(*map(np.concatenate, zip(*parts, strict=True)))

    return Engine("tensorflow", run, look, predict)
