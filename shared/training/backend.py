"""Configure Keras' backend: threads, determinism, no output; what differs between TensorFlow and JAX.

Keras takes the backend that ``KERAS_BACKEND`` names: TensorFlow, which is installed for CPUs, or JAX, which
runs on a GPU where there is one.
"""

from __future__ import annotations

import os
from importlib.metadata import entry_points, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keras import Model

# TensorFlow logs CPU features and missing GPUs at every start.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# JAX would take three quarters of a GPU's memory at once; a node that trains and serves has two processes.
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")


def configure_backend(threads: int) -> None:
    """Fix the number of threads, choose deterministic operations, and stop Keras from writing to stdout.

    Call it before the first computation of the process: the backend fixes its threads then. On two
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
    if keras.config.backend() == "jax":
        _configure_jax(threads)
    elif keras.config.backend() == "tensorflow":
        _configure_tensorflow(threads)


def _configure_tensorflow(threads: int) -> None:
    import tensorflow as tf

    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    except RuntimeError:  # already running: a test's or a notebook's own process
        pass
    tf.config.experimental.enable_op_determinism()


def _configure_jax(threads: int) -> None:
    import jax

    os.environ["NPROC"] = str(threads)  # read once, when JAX first computes
    flags = os.environ.get("XLA_FLAGS", "")
    if "xla_gpu_deterministic_ops" not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} --xla_gpu_deterministic_ops=true".strip()
    # A GPU would multiply in TensorFloat-32, with three digits, and answer other than the clinic's CPUs.
    jax.config.update("jax_default_matmul_precision", "float32")


def compiles_steps() -> bool:
    """Whether Keras should compile training steps by XLA.

    On a CPU, TensorFlow's own graph is several times faster; JAX knows no other way.
    """
    import keras

    return bool(keras.config.backend() != "tensorflow")


def faster_in_training(network: Model) -> Model:
    """The same layers and weights in a graph that takes less time in training steps, where there is one.

    That is on a CPU with TensorFlow. XLA, which JAX always uses, joins operations by itself.
    """
    import keras

    if keras.config.backend() != "tensorflow" or can_use_gpu():
        return network
    from dermafed.shared.training.tensorflow_layers import for_training

    return for_training(network)


def can_use_gpu() -> bool:
    """Whether the backend in use was built for GPUs; whether there is one, this does not ask."""
    import keras

    if keras.config.backend() != "tensorflow":
        return bool(entry_points(group="jax_plugins"))
    import tensorflow as tf

    return bool(tf.test.is_built_with_cuda())


def rounding() -> dict[str, Any]:
    """What the last digits of a result depend on besides its inputs: two processes with the same agree."""
    import keras

    if keras.config.backend() == "tensorflow":
        import tensorflow as tf

        return {"threads": int(tf.config.threading.get_intra_op_parallelism_threads())}
    if keras.config.backend() != "jax":
        return {"threads": 0, "backend": keras.config.backend()}
    import jax

    threads, device = int(os.environ.get("NPROC", 0)), jax.devices()[0].device_kind
    return {"threads": threads, "backend": f"jax {version('jax')}", "device": device}
