"""Tests that use Keras run it as the clinics do: one thread, deterministic."""

from __future__ import annotations

import sys

from shared.training.backend import configure_backend


def pytest_collection_finish() -> None:
    if "keras" in sys.modules:
        configure_backend(1)
