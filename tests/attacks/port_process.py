"""A process with a public port over TLS: ``FOLDER fleet|page guarded|plain FILES``; prints port and node.

``fleet`` is the server's port, with a clinic whose key is in the folder; ``page`` is the port of
``fl-client serve``, with an application that says ``hello``. ``plain`` serves the same by uvicorn alone.
"""

from __future__ import annotations

import asyncio
import resource
import sys
from pathlib import Path

import uvicorn
from cryptography.hazmat.primitives.serialization import load_ssh_private_key
from starlette.types import ASGIApp

from dermafed.server.coordinator.listener import Certificate, bind, listening
from dermafed.shared.port.admission import PortLimits
from dermafed.shared.process import stay_offline

LIMITS = PortLimits(handshake_seconds=1.0, head_seconds=1.0, stranger_seconds=3.0)


def fleet(folder: Path, guarded: bool) -> tuple[ASGIApp, int]:
    from dermafed.server.flower.fleet_api import fleet_only
    from dermafed.server.flower.link import Link
    from tests.server.flower.link_side import public_pem, stock_app

    link = Link(folder / f"{guarded}.db")
    key = load_ssh_private_key((folder / "clinic.key").read_bytes(), None)
    node = link.register("graz", public_pem(key))  # type: ignore[arg-type]
    return fleet_only(link) if guarded else stock_app(link), node


def run_page(folder: Path, guarded: bool) -> None:
    from fastapi import FastAPI

    from dermafed.client.clinic.http.listening import make_server
    from dermafed.client.clinic.http.serve_settings import ServeSettings

    app = FastAPI()
    app.get("/")(lambda: "hello")
    config = plain_config(app, folder)
    config.load()
    settings = ServeSettings(header_seconds=1)
    (bound,) = bind("127.0.0.1", 0)
    server = make_server(app, config.ssl, settings, lambda: None) if guarded else uvicorn.Server(config)
    print(bound.getsockname()[1], 0, flush=True)
    asyncio.run(server.serve([bound]))


def plain_config(app: ASGIApp, folder: Path) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http="h11",
        lifespan="off",
        ws="none",
        log_config=None,
        ssl_certfile=folder / "server.pem",
        ssl_keyfile=folder / "server.key",
    )


def run_fleet(folder: Path, guarded: bool) -> None:
    app, node = fleet(folder, guarded)
    if guarded:
        certificate = Certificate(folder / "server.pem", folder / "server.key")
        with listening(app, "127.0.0.1", 0, certificate, LIMITS) as port:
            print(port, node, flush=True)
            sys.stdin.read()
    else:
        (bound,) = bind("127.0.0.1", 0)
        print(bound.getsockname()[1], node, flush=True)
        uvicorn.Server(plain_config(app, folder)).run([bound])


if __name__ == "__main__":
    stay_offline()
    _, place, kind, guard, files = sys.argv
    resource.setrlimit(resource.RLIMIT_NOFILE, (int(files), int(files)))
    (run_fleet if kind == "fleet" else run_page)(Path(place), guard == "guarded")
