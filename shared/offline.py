"""Flower and Ray without outside look-ups and without chatter."""

from __future__ import annotations

import os

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


def stay_offline() -> None:
    """Set the environment that Flower and Ray read when they are imported; what the user has set stays.

    The packages ``shared``, ``server``, ``client`` and ``simulation`` call this on top of their own
    ``__init__``, which runs before any of their modules can import Flower.
    """
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
