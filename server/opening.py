"""What ``fl-server start`` opens: the link to the clinics, behind its listener."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from flwr.serverapp import Grid

from server.engine import Agreement, Engine, Heard
from server.rules import RoundRules
from server.settings import ServerSettings
from shared.errors import FederationError
from shared.offer import Offer


@contextmanager
def open_engine(folder: Path, settings: ServerSettings) -> Iterator[Engine]:
    """Open a federation's folder to its clinics.

    Args:
        folder: of ``fl-server init``.
        settings: its server's.

    Yields:
        The link, while clinics can connect.
    """
    raise FederationError("This version has no link to clinics yet", where=folder)
    yield


def agree(
    grid: Grid,
    clinics: Mapping[int, str],
    offer: Offer,
    rules: RoundRules,
    approval_seconds: float,
    *,
    heard: Heard,
) -> Agreement:
    """Ask a grid's clinics to join; see :class:`server.engine.Agree`."""
    raise FederationError("This version has no link to clinics yet")
