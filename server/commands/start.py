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
    typer.Option("--tensorboard", metavar="FOLDER", help="Chart each run's rounds for TensorBoard."),
]


def start(directory: Dir = HERE, tensorboard: TensorBoard = None, as_json: AsJson = False) -> None:
    """Serve the federation, in the foreground, until Ctrl-C or SIGTERM.

    A line on stdout tells when clinics can connect; what happens is told on stderr. Runs that were going on
    when the server ended, however it ended, go on by themselves.

    **Examples**

        fl-server start

        fl-server start --dir alps --tensorboard charts

        fl-server start --dir alps --json
    """
    from dermafed.server.coordinator.agree import agree
    from dermafed.server.coordinator.engine_startup import open_engine
    from dermafed.server.coordinator.server_process import serve

    _log_to_stderr()

    def tell(ready: Ready) -> None:
        if as_json:
            print_json({"ready": True, **asdict(ready)})
        else:
            health = f"health: 127.0.0.1:{ready.health_port}"
            print(f"Ready: {ready.federation} at {ready.address}; CA {ready.ca_fingerprint}; {health}")
        sys.stdout.flush()

    serve(directory, open_engine, agree, tell, tensorboard)


def _log_to_stderr() -> None:
    """Our own log only: what libraries tell may hold anything."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    log = logging.getLogger("dermafed")
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    logging.getLogger("flwr").addFilter(place_and_code)


def place_and_code(record: logging.LogRecord) -> bool:
    """Of an error that Flower tells, where it was and its code: the rest may be what a clinic sent."""
    found = re.match(r"(\[[^\]]*\])+", record.getMessage())
    if found:
        record.msg, record.args = found[0], ()
    return True
