"""Threads, determinism and silence of the backend; the one place that names TensorFlow."""

from __future__ import annotations

import os

# TensorFlow tells of its CPU features and of missing GPUs on every start.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def configure_backend(threads: int) -> None:
    """Fixes the number of threads, asks for deterministic operations, and keeps Keras off stdout.

    Call it before the first computation of the process: TensorFlow fixes its threads then. On two
    cores EfficientNetB0 trains as fast with one thread as with two, so that parallel processes
    of one thread each use a machine best, and a fixed number of threads makes results reproducible.

    Args:
        threads: how many threads an operation may use.
    """
    import keras

    # Its download bar would stand in the middle of a command's JSON.
    keras.config.disable_interactive_logging()
    if keras.config.backend() != "tensorflow":
        return
    import tensorflow as tf

    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    except RuntimeError:  # already running: a test's or a notebook's own process
        pass
    tf.config.experimental.enable_op_determinism()
