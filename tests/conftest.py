"""Tests that use Keras run it as the clinics do: one thread, deterministic; a busy machine fails none.

Layers, and whatever else draws without a generator of its own, draw the same in every run.
"""

from __future__ import annotations

import gc
import os
import random
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from dermafed.shared.training.backend import configure_backend

settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

# Nothing of what is imported is garbage.
gc.disable()

# Tests kill processes, not the machine, and some write thousands of files.
os.fsync = lambda descriptor: None

if hasattr(os, "nice"):
    # A node's worker, which is at 19 and goes last, would not get its turn beside tests that compute.
    os.nice(max(0, 18 - os.getpriority(os.PRIO_PROCESS, 0)))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with whole runs come first, so that no process is left with one at the end."""
    long = {item.path for item in items if item.get_closest_marker("journey")}
    items.sort(key=lambda item: item.path not in long)


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()
    if "keras" in sys.modules:
        configure_backend(1)


@pytest.fixture(autouse=True, scope="module")
def _same_draws() -> None:
    random.seed(22)
    np.random.seed(22)  # noqa: NPY002
