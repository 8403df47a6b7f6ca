"""What share of the machine's arithmetic exact Score-CAM reaches: its passes beside a product of matrices.

    python -m benchmarks.scorecam_peak [--json]

EfficientNetB0 at 128 pixels, random weights, a drawn lesion. The product of two large float32 matrices on one
core (sgemm of NumPy's BLAS) stands for what a core can compute at most. Both are measured in processor
seconds, which other programs change less than seconds.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.comparisons import Place
from benchmarks.comparisons.scorecam import SIDE
from benchmarks.pictures import pictures
from benchmarks.untrained import save_untrained

REPEATS, MATRIX = 3, 2048


def operations(model: Any) -> float:
    """Floating-point operations of one image's pass through a Keras model, by TensorFlow's count."""
    import tensorflow as tf
    from tensorflow.python.profiler.model_analyzer import profile
    from tensorflow.python.profiler.option_builder import ProfileOptionBuilder

    call = tf.function(lambda image: model(image, training=False))
    graph = call.get_concrete_function(tf.TensorSpec((1, *model.input_shape[1:]), "float32")).graph
    options = ProfileOptionBuilder(ProfileOptionBuilder.float_operation()).with_empty_output().build()
    return float(profile(graph, options=options).total_float_ops)


def sgemm() -> float:
    """Operations a processor second of a product of matrices, the best of some."""
    matrix = np.random.default_rng(0).random((MATRIX, MATRIX), np.float32)
    with threadpool_limits(1):
        return 2 * float(MATRIX) ** 3 / min(seconds(lambda: matrix @ matrix) for _ in range(REPEATS))


def seconds(work: Callable[[], object]) -> float:
    """Processor seconds of all threads."""
    start = process_time()
    work()
    return process_time() - start


def measure(folder: Path) -> dict[str, Any]:
    from dermafed.shared.explain.explainer import Explainer
    from dermafed.shared.model.model_file import load_model

    model = load_model(save_untrained(folder, image_size=SIDE))[0]
    explainer, image = Explainer(model), pictures(Place(folder, None, print), 1, SIDE)[0]
    passes, one = explainer.explain(image, method="scorecam-exact").passes, operations(model)
    taken = median(seconds(lambda: explainer.explain(image, method="scorecam-exact")) for _ in range(REPEATS))
    peak, work = sgemm(), passes * one
    return {
        "side": SIDE,
        "passes": passes,
        "billion_operations_a_pass": one / 1e9,
        "processor_seconds": taken,
        "billion_a_processor_second": work / taken / 1e9,
        "sgemm_billion_a_processor_second": peak / 1e9,
        "percent_of_sgemm": 100 * work / taken / peak,
        "processor_seconds_at_sgemm": work / peak,
    }


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        found = measure(Path(name))
    if "--json" in sys.argv[1:]:
        print(json.dumps([found]))
    else:
        for key, value in found.items():
            print(f"{key.replace('_', ' ')}: {value:.3g}")


if __name__ == "__main__":
    main()
