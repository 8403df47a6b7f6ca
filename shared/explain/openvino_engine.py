"""Masked passes by OpenVINO: on a CPU, twice as fast as TensorFlow and more; an optional dependency."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import keras
import numpy as np

from dermafed.shared.explain.engine import Engine, Outputs
from dermafed.shared.explain.maps import Float
from dermafed.shared.explain.network import Network
from dermafed.shared.process import cores


def openvino_engine(masked: keras.Model, network: Network) -> Engine:
    """Compiles the masked model for this machine's CPU.

    One pass at a time on each core: measured, that is faster than batches (the activations of one image
    stay in the core's cache) and takes a tenth of their memory. A pass runs on one thread, so the
    result does not depend on how many there are.

    Args:
        masked: from :func:`dermafed.shared.explain.engine.masked_model`.
        network: what it was made of.

    Raises:
        ImportError: OpenVINO is not installed.
        Exception: whatever Keras' export or OpenVINO's compiler raises on a network that it cannot take.
    """
    openvino = _openvino()
    compiled = compiled_model(masked, network)
    queue = openvino.AsyncInferQueue(compiled, cores())

    open_mask, nothing = np.ones((1, *network.cells), np.float32), np.zeros((1, *network.size, 3), np.float32)

    def passes(same: dict[int, Float], each: Iterable[dict[int, Float]], count: int) -> Outputs:
        outputs = Outputs(*np.empty((2, count, network.classes), np.float32))

        def keep(request: Any, at: int) -> None:
            outputs.logits[at] = request.get_output_tensor(1).data[0]
            outputs.probabilities[at] = request.get_output_tensor(2).data[0]

        for request in queue:
            for number, array in same.items():
                request.set_input_tensor(number, openvino.Tensor(array))
        queue.set_callback(keep)
        for at, given in enumerate(each):
            queue.start_async(given, at)
        queue.wait_all()
        return outputs

    def run(masks: Float, image: Float, fill: Float) -> Outputs:
        return passes({1: image[None], 2: fill[None]}, ({0: mask[None]} for mask in masks), len(masks))

    def predict(images: Float) -> Outputs:
        return passes({0: open_mask, 2: nothing}, ({1: image[None]} for image in images), len(images))

    def look(image: Float) -> tuple[Float, Outputs]:
        result = compiled([open_mask, image[None], nothing])
        return result[0][0].copy(), Outputs(result[1].copy(), result[2].copy())

    return Engine("openvino", run, look, predict)


def _openvino() -> Any:
    """The package, kept from calling home: its telemetry sends an event at import unless that is missing."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    return openvino


def compiled_model(masked: keras.Model, network: Network) -> Any:
    """OpenVINO's compiled form of a masked model, in float32; arguments and errors as of openvino_engine."""
    core = _openvino().Core()
    core.set_property({"ENABLE_MMAP": False})  # its files are gone in a moment
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "masked.xml"
        masked.export(str(path), format="openvino", verbose=False)
        model = core.read_model(path)
    # Keras exports every swish as one more output; OpenVINO would make each of them, in Keras' layout.
    for extra in model.get_results()[len(masked.outputs) :]:
        model.remove_result(extra)
    image = [1, *network.size, 3]
    model.reshape(dict(zip(model.inputs, ([1, *network.cells], image, image), strict=True)))
    settings = {
        "PERFORMANCE_HINT": "THROUGHPUT",
        "NUM_STREAMS": cores(),
        "INFERENCE_NUM_THREADS": cores(),
        # Where the processor has bfloat16, OpenVINO would calculate in that, and err in the third digit.
        "INFERENCE_PRECISION_HINT": "f32",
    }
    return core.compile_model(model, "CPU", settings)
