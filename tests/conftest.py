"""Tests that use Keras run it as the clinics do: one thread, deterministic; a busy machine fails none."""

from __future__ import annotations

import sys

from hypothesis import HealthCheck, settings

from dermafed.shared.training.backend import configure_backend

settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


def pytest_collection_finish() -> None:
    if "keras" in sys.modules:
        configure_backend(1)
