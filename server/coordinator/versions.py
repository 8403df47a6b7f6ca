"""The versions of packages that a clinic tells in its answer, beside the server's."""

from __future__ import annotations

import logging
from importlib.metadata import version

from dermafed.shared.protocol.agreement import Answer

log = logging.getLogger("dermafed.server")

MUST_MATCH = ("dermafed", "flwr")
"""Packages of which a clinic needs the server's minor version; otherwise it is left out."""

MAY_DIFFER = ("keras",)
"""Packages of which another version is only logged."""


def version_conflict(answer: Answer) -> str | None:
    """The package whose minor version is not the server's."""
    for package in MUST_MATCH:
        there, here = answer.versions.get(package, "unknown"), version(package)
        if there.split(".")[:2] != here.split(".")[:2]:
            return f"its version of {package} is {there}, the server's is {here}"
    return None


def log_differences(clinic: str, answer: Answer) -> None:
    """Log the packages whose version is another one, though a clinic may join with it."""
    for package in MAY_DIFFER:
        there, here = answer.versions.get(package), version(package)
        if there != here:
            log.warning("%s joins with %s %s; the server has %s", clinic, package, there, here)
