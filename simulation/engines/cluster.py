"""A Ray cluster that runs already: whether it can be used, and the connection to it."""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dermafed.shared.errors import FederationError, SettingsError
from dermafed.shared.process import QUIET
from dermafed.simulation.engines.engine_settings import AUTO, host_and_port

CONNECT_SECONDS = 10.0
PROBE_SECONDS = 120.0
"""Until a cluster is given up that answers, but not as one: its machines may have to load Python first."""

_PROBE = "dermafed.simulation.engines.cluster_probe"
_SENT_VARIABLES = ("KERAS_BACKEND", "DERMAFED_CACHE")

_REMEDY = (
    "Start it with 'ray start', and give the address that this prints; 'ray status' says whether it runs"
)


def check_ray() -> None:
    """Raises SettingsError where Ray is not installed."""
    if importlib.util.find_spec("ray") is None:
        raise SettingsError("The engine 'ray' needs Ray", remedy="Install dermafed[ray], or choose 'local'")


def check_cluster(address: str, paths: Sequence[Path]) -> None:
    """Refuse a cluster that does not answer, or whose machines cannot work on a run.

    Ray itself tries again for minutes where nothing answers, and may end the process; so another one asks.

    Args:
        address: ``HOST:PORT`` or ``auto``.
        paths: files and folders that every machine must see.

    Raises:
        SettingsError: Ray is not installed, or a machine lacks DermaFed or a path; names it.
        FederationError: there is no such cluster.
    """
    check_ray()
    if address != AUTO:
        _check_port(address)
    command = [sys.executable, "-m", _PROBE, address, *map(str, paths)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PROBE_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise FederationError("No Ray cluster answers in time", where=address, remedy=_REMEDY) from None
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no reason is given"]
        raise FederationError(f"The Ray cluster cannot be used: {lines[-1]}", where=address, remedy=_REMEDY)
    faults = json.loads(done.stdout.splitlines()[-1])
    if faults:
        raise SettingsError(
            f"Not every machine of the Ray cluster can work on this run: {'; '.join(faults)}",
            where=address,
            remedy="Install the same DermaFed on all, and keep data and --out where all of them see it",
        )


def _check_port(address: str) -> None:
    try:
        socket.create_connection(host_and_port(address), CONNECT_SECONDS).close()
    except OSError as error:
        raise FederationError(
            f"No Ray cluster answers: {error.strerror or error}", where=address, remedy=_REMEDY
        ) from None


@contextmanager
def connection(address: str | None) -> Iterator[float]:
    """Ray, started on this machine or in a cluster; yields the number of its GPUs.

    Args:
        address: ``HOST:PORT`` or ``auto`` of a cluster; ``None``: this machine alone.

    Raises:
        FederationError: Ray does not start, or refuses.
    """
    ray: Any = importlib.import_module("ray")  # whose types are incomplete
    variables = _cluster_variables() if address else {"PYTHONPATH": os.pathsep.join(sys.path)}
    try:
        ray.init(
            address=address or "local",
            logging_level="ERROR",
            log_to_driver=False,
            include_dashboard=False,
            runtime_env={"env_vars": variables},
        )
    except Exception as error:  # of many types
        remedy = _REMEDY if address else "Choose the engine 'local'"
        raise FederationError(f"Ray did not start: {error}", where=address or "", remedy=remedy) from error
    try:
        yield float(ray.cluster_resources().get("GPU", 0))
    finally:
        ray.shutdown()


def _cluster_variables() -> dict[str, str]:
    """What a worker on any machine needs of this process's environment; here, it inherits all of it."""
    return QUIET | {name: os.environ[name] for name in _SENT_VARIABLES if name in os.environ}
