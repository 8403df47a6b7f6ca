"""Masked forward passes of a network, by Keras' backend or, about twice as fast on a CPU, by OpenVINO."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from dermafed.shared.errors import SettingsError
from dermafed.shared.explain.maps import Float, interpolation
from dermafed.shared.explain.network import Network, Outputs
from dermafed.shared.process import cores

log = logging.getLogger("dermafed.explain")

BATCH = 16  # of Keras' passes; larger ones are no faster on a CPU

Pool = Callable[[Float], tuple[Float, Outputs]]


@dataclass(frozen=True, slots=True)
class Engine:
    """A way to run masked passes.

    Attributes:
        name: ``"openvino"``, or that of Keras' backend: ``"tensorflow"`` or ``"jax"``.
        run: from masks (N, h, w) in [0, 1], an image (H, W, 3) and a fill (H, W, 3), all float32, to
            the outputs of ``X * H + B * (1 - H)``, H the enlarged masks.
        forward: from an image to its activations (h, w, K) and its outputs, N = 1.
        predict: from whole images (N, H, W, 3) to their outputs.
        forward_beside: `forward`, and the output beside, of the same pass; ``None`` where there is none.
        pool: from whole images to what `forward` gives of each, the activations pooled to float32 (N, K);
            ``None`` where Keras does so itself.
    """

    name: str
    run: Callable[[Float, Float, Float], Outputs]
    forward: Callable[[Float], tuple[Float, Outputs]]
    predict: Callable[[Float], Outputs]
    forward_beside: Callable[[Float], tuple[Float, Outputs, Float]] | None = None
    pool: Pool | None = None


def best_engine(network: Network, wanted: str | None = None) -> Engine:
    """The engine named, or OpenVINO where it is installed and can take the network, else Keras' backend.

    OpenVINO reads the graphs of TensorFlow alone; and who chose JAX wants its GPU.

    Args:
        network: what to run.
        wanted: ``"openvino"``, the name of the backend, or ``None`` for the fastest that works.

    Raises:
        SettingsError: the engine named is unknown, not installed, or cannot take the network.
    """
    backend = keras.config.backend()
    engines = ("openvino", backend) if backend == "tensorflow" else (backend,)
    if wanted not in (None, *engines):
        raise SettingsError(f"There is no engine '{wanted}'", remedy=f"Use {' or '.join(engines)}")
    masked = masked_model(network)
    # OpenVINO would calculate in 32 bits what the model calculates in 16, and give other probabilities.
    if wanted == backend or len(engines) == 1 or (network.half and wanted is None):
        return keras_engine(masked, network)
    try:
        return openvino_engine(masked, network)
    except Exception as error:  # an optional accelerator: any failure, of any type, means doing without
        if wanted is None:
            log.info("%s instead of OpenVINO: %s", backend, error)
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
    return keras.Model([masks, image, fill], (network.beside or network.model)(masked))


def keras_engine(masked: keras.Model, network: Network) -> Engine:
    """The masked model as Keras itself runs it: one traced graph."""

    def batch(masks: Float, image: Float, fill: Float) -> tuple[Float, Outputs, list[Float]]:
        # Filled up to one shape, so that it is traced once.
        padded = np.zeros((BATCH, *network.cells), np.float32)
        padded[: len(masks)] = masks
        activations, *others = masked.predict_on_batch([padded, image[None], fill[None]])
        logits, probabilities, *beside = (_float32(each[: len(masks)]) for each in others)
        return _float32(activations[0]), Outputs(logits, probabilities), beside

    def run(masks: Float, image: Float, fill: Float) -> Outputs:
        parts = [batch(masks[at : at + BATCH], image, fill)[1] for at in range(0, len(masks), BATCH)]
        return Outputs(*map(np.concatenate, zip(*parts, strict=True)))

    def forward(image: Float) -> tuple[Float, Outputs]:
        return batch(np.ones((1, *network.cells), np.float32), image, np.zeros_like(image))[:2]

    def forward_beside(image: Float) -> tuple[Float, Outputs, Float]:
        activations, outputs, [beside] = batch(
            np.ones((1, *network.cells), np.float32), image, np.zeros_like(image)
        )
        return activations, outputs, beside[0]

    def predict(images: Float) -> Outputs:
        starts = range(0, len(images), BATCH)
        parts = [network.model.predict_on_batch(images[at : at + BATCH])[1:] for at in starts]
        return Outputs(*(_float32(np.concatenate(part)) for part in zip(*parts, strict=True)))

    return Engine(keras.config.backend(), run, forward, predict, forward_beside if network.beside else None)


def _float32(values: Any) -> Float:
    """A copy in 32 bits; some networks have outputs of 16 or 64."""
    return np.array(values, np.float32)


def openvino_engine(masked: keras.Model, network: Network) -> Engine:
    """Compile the masked model for this machine's CPU.

    One pass at a time on each core: measured, that is faster than batches (the activations of one image
    stay in the core's cache) and takes a tenth of their memory. A pass runs on one thread, so the
    result does not depend on how many there are.

    Args:
        masked: from :func:`dermafed.shared.explain.engine.masked_model`.
        network: what it was made of.

    Raises:
        ImportError: OpenVINO is not installed.
        Exception: whatever OpenVINO's converter or compiler raises on a network that it cannot take.
    """
    openvino = _openvino()
    compiled = compiled_model(masked, network)
    queue = openvino.AsyncInferQueue(compiled, cores())

    open_mask, black = np.ones((1, *network.cells), np.float32), np.zeros((1, *network.size, 3), np.float32)

    def passes(
        same: dict[int, Float], each: Iterable[dict[int, Float]], count: int, pooled: Float | None = None
    ) -> Outputs:
        outputs = Outputs(*np.empty((2, count, network.classes), np.float32))

        def store(request: Any, at: int) -> None:
            if pooled is not None:
                pooled[at] = _float32(request.get_output_tensor(0).data[0]).mean(axis=(0, 1))
            outputs.logits[at] = request.get_output_tensor(1).data[0]
            outputs.probabilities[at] = request.get_output_tensor(2).data[0]

        for request in queue:
            for number, array in same.items():
                request.set_input_tensor(number, openvino.Tensor(array))
        queue.set_callback(store)
        for at, given in enumerate(each):
            queue.start_async(given, at)
        queue.wait_all()
        return outputs

    def run(masks: Float, image: Float, fill: Float) -> Outputs:
        return passes({1: image[None], 2: fill[None]}, ({0: mask[None]} for mask in masks), len(masks))

    def predict(images: Float) -> Outputs:
        return passes({0: open_mask, 2: black}, ({1: image[None]} for image in images), len(images))

    def pool(images: Float) -> tuple[Float, Outputs]:
        pooled, each = (
            np.empty((len(images), network.channels), np.float32),
            ({1: one[None]} for one in images),
        )
        return pooled, passes({0: open_mask, 2: black}, each, len(images), pooled)

    def forward(image: Float) -> tuple[Float, Outputs]:
        result = compiled([open_mask, image[None], black])
        return _float32(result[0][0]), Outputs(_float32(result[1]), _float32(result[2]))

    def forward_beside(image: Float) -> tuple[Float, Outputs, Float]:
        result = compiled([open_mask, image[None], black])
        outputs = Outputs(_float32(result[1]), _float32(result[2]))
        return _float32(result[0][0]), outputs, _float32(result[3][0])

    return Engine("openvino", run, forward, predict, forward_beside if network.beside else None, pool)


def _openvino() -> Any:
    """The package without its telemetry, which would send an event at import."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    return openvino


def compiled_model(masked: keras.Model, network: Network) -> Any:
    """OpenVINO's compiled form of a masked model, in float32; arguments and errors as of openvino_engine."""
    openvino, image = _openvino(), [1, *network.size, 3]
    shapes = {"masks": [1, *network.cells], "image": image, "fill": image}
    model = openvino.convert_model(_constant_graph(masked, shapes), share_weights=False)
    # Every swish is one more output; OpenVINO would make each of them, in Keras' layout.
    for extra in model.get_results()[len(masked.outputs) :]:
        model.remove_result(extra)
    settings = {
        "PERFORMANCE_HINT": "THROUGHPUT",
        "NUM_STREAMS": cores(),
        "INFERENCE_NUM_THREADS": cores(),
        # Where the processor has bfloat16, OpenVINO would calculate in that, and err in the third digit.
        "INFERENCE_PRECISION_HINT": "f32",
    }
    return openvino.Core().compile_model(model, "CPU", settings)


def _constant_graph(model: keras.Model, shapes: Mapping[str, Sequence[int]]) -> Any:
    """TensorFlow's graph of a model whose weights are constants of it.

    Of variables, OpenVINO searches for each, and Keras' own export lists every object of the model: as
    constants, those of an EfficientNetB0 are converted in a third of the time, to the same network.
    """
    import tensorflow as tf

    weights = [
        [*map(np.asarray, some)] for some in (model.trainable_variables, model.non_trainable_variables)
    ]
    inputs = [tf.TensorSpec(shape, "float32", name) for name, shape in shapes.items()]
    call = tf.function(lambda *given: model.stateless_call(*weights, [*given], training=False)[0])
    return call.get_concrete_function(*inputs)
