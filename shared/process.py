"""This process: the environment of Flower and Ray, its cores, its priority, and its end with its parent."""

from __future__ import annotations

import os
import signal
import threading
import time

QUIET = {
    "FLWR_TELEMETRY_ENABLED": "0",
    "FLWR_DISABLE_UPDATE_CHECK": "1",
    "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION": "1",
    "FLWR_LOG_LEVEL": "ERROR",
    "RAY_USAGE_STATS_ENABLED": "0",
    # Flower's simulation imports TensorFlow where it is installed.
    "TF_CPP_MIN_LOG_LEVEL": "2",
    # Ray otherwise prints a note about a default of its next release at every start.
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
"""Environment variables with which Flower and Ray call nobody and write little."""

HUGE_PAGES = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
"""The environment in which glibc asks the system for large blocks in pages of 2 MiB, where there are such.

A model that is copied otherwise costs thousands of page faults, which take several times as long as the copy.
glibc reads it when a process starts.
"""

_LOWEST_PRIORITY = 19
_PATIENCE_SECONDS = 10.0


def stay_offline() -> None:
    """Set the environment that Flower and Ray read when they are imported; what the user has set stays.

    The packages ``shared``, ``server``, ``client`` and ``simulation`` call this on top of their own
    ``__init__``, which runs before any of their modules can import Flower.
    """
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)


def cores() -> int:
    """Number of cores that this process may use; of the machine, where the system does not report it."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def lower_priority() -> None:
    """Let every other process go first from now on: for work that nobody waits for, such as training."""
    if hasattr(os, "setpriority"):
        os.setpriority(os.PRIO_PROCESS, 0, _LOWEST_PRIORITY)


def end_with_parent() -> None:
    """End this process soon after the pipe at its standard input closes, as it does when the parent dies."""
    threading.Thread(target=_wait_for_parent, daemon=True, name="end with parent").start()


def _wait_for_parent() -> None:
    # Not sys.stdin, whose lock this thread would hold while the interpreter shuts down.
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)  # lets a SuperNode say goodbye to its server
    time.sleep(_PATIENCE_SECONDS)
    os._exit(1)
