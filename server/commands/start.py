"""``start``: the federation's server, in the foreground."""

from __future__ import annotations

import logging
import re
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dermafed.server.commands.options import HERE, AsJson, Dir, print_json

if TYPE_CHECKING:
    from dermafed.server.coordinator.server_process import Ready


TensorBoard = Annotated[
    Path | None,
    typer.Option("--tensorboard", metavar="FOLDER", help="Write each run's rounds for TensorBoard."),
]


def start(directory: Dir = HERE, tensorboard: TensorBoard = None, as_json: AsJson = False) -> None:
    """Serve the federation, in the foreground, until Ctrl-C or SIGTERM.

    A line on stdout says when clinics can connect; the log goes to stderr. Runs that were active when the
    server ended, however it ended, continue by themselves.

    **Examples**

        fl-server start

        fl-server start --dir alps --tensorboard charts

        fl-server start --dir alps --json
    """
    from dermafed.server.coordinator.server_process import serve

    _log_to_stderr()

    def print_ready(ready: Ready) -> None:
        if as_json:
            print_json({"ready": True, **asdict(ready)})
        else:
            health = f"health: 127.0.0.1:{ready.health_port}"
            print(f"Ready: {ready.federation} at {ready.address}; CA {ready.ca_fingerprint}; {health}")
        sys.stdout.flush()

    serve(directory, print_ready, tensorboard)


def _log_to_stderr() -> None:
    """Our own log only: the log of a library may contain anything."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    log = logging.getLogger("dermafed")
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    logging.getLogger("flwr").addFilter(place_and_code)


def place_and_code(record: logging.LogRecord) -> bool:
    """Reduce an error that Flower logs to its place and code: the rest may come from a clinic."""
    found = re.match(r"(\[[^\]]*\])+", record.getMessage())
    if found:
        record.msg, record.args = found[0], ()
    return True
