"""Configure the backend: threads, determinism, no output; the only module here that names TensorFlow."""

from __future__ import annotations

import os

# TensorFlow logs CPU features and missing GPUs at every start.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def configure_backend(threads: int) -> None:
    """Fix the number of threads, choose deterministic operations, and stop Keras from writing to stdout.

    Call it before the first computation of the process: TensorFlow fixes its threads then. On two
    cores EfficientNetB0 trains as fast with one thread as with two, so that parallel processes
    of one thread each use a machine best, and a fixed number of threads makes results reproducible.

    Args:
        threads: number of threads of an operation.
    """
    import keras
    from threadpoolctl import threadpool_limits

    # OpenBLAS' threads wait for one another by turning: with a process on every core, 30 times as long.
    threadpool_limits(threads, "blas")
    # Its download bar would appear in the middle of a command's JSON.
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


def threads() -> int:
    """The number of threads of an operation, which changes rounding; 0 where the backend chooses it."""
    import keras

    if keras.config.backend() != "tensorflow":
        return 0
    import tensorflow as tf

    return int(tf.config.threading.get_intra_op_parallelism_threads())
