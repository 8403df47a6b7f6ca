"""``init``, ``renew`` and ``start``: a federation's folder, its certificates, and its server."""

from __future__ import annotations

import logging
import sys
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dermafed.console import print_note
from dermafed.server.commands.options import HERE, AsJson, Dir, File, print_json
from dermafed.shared.errors import SettingsError

if TYPE_CHECKING:
    from dermafed.server.coordinator.server_process import Ready

TensorBoard = Annotated[
    Path | None,
    typer.Option("--tensorboard", metavar="FOLDER", help="Write each run's rounds for TensorBoard."),
]


def init(
    folder: File,
    host: Annotated[
        list[str],
        typer.Option(help="Name or IP address by which clinics reach this machine.", show_default=False),
    ],
    name: Annotated[
        str | None, typer.Option(help="The federation's name.  [default: the folder's]", show_default=False)
    ] = None,
    port: Annotated[int, typer.Option(help="The one port that clinics connect to.")] = 9443,
    health_port: Annotated[
        int | None,
        typer.Option(help="For monitors on this machine.  [default: the next one]", show_default=False),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Create a federation's folder: certificate authority, server certificate, settings, record.

    FOLDER is new or empty. Only you can read it; the keys in it never leave it. Give --host for each name and
    address of this machine; invitations contain the first.

    **Examples**

    One name, or two ways to the same machine:

        fl-server init alps --host derma.example.org

        fl-server init alps --host derma.example.org --host 192.0.2.7 --port 443
    """
    from dermafed.server.coordinator.federation_folder import (
        RECORD,
        RUNS,
        TRUST,
        ServerSettings,
        authority_fingerprint,
        save_settings,
    )
    from dermafed.server.record.record_database import Record
    from dermafed.shared.protocol.certificates import issue_server_certificate, make_authority
    from dermafed.shared.storage.atomic_files import make_private_folder

    _check_free(folder)
    settings = ServerSettings(
        name or folder.resolve().name, tuple(host), port, port + 1 if health_port is None else health_port
    )
    for each in (folder, folder / RUNS):
        make_private_folder(each)
    make_authority(folder / TRUST, settings.federation)
    issue_server_certificate(folder / TRUST, settings.hosts)
    Record.create(folder / RECORD)
    save_settings(folder, settings)  # last: with it the folder is a federation's
    fingerprint = authority_fingerprint(folder / TRUST)
    if as_json:
        print_json({"folder": folder, "address": settings.address, "ca_fingerprint": fingerprint})
        return
    print_note(f"The federation '{settings.federation}' is ready: clinics will connect to {settings.address}")
    print_note(f"CA fingerprint, to compare with each clinic by telephone:\n  {fingerprint}")
    print_note(f"Next: fl-server enrol CLINIC KEY.pub --dir {folder}, then fl-server start --dir {folder}")


def renew(directory: Dir = HERE, as_json: AsJson = False) -> None:
    """Issue a new server certificate, before the old one expires or after a change of hosts.

    The hosts are those in server.toml. The authority stays, so clinics need nothing new. Restart the server
    afterwards; runs continue.

    **Examples**

        fl-server renew

        fl-server renew --dir alps
    """
    from dermafed.server.coordinator.federation_folder import TRUST, load_settings
    from dermafed.shared.protocol.certificates import issue_server_certificate

    settings = load_settings(directory)
    expires = issue_server_certificate(directory / TRUST, settings.hosts).not_valid_after_utc
    if as_json:
        print_json({"hosts": list(settings.hosts), "expires": expires.isoformat()})
        return
    print_note(f"The server's certificate is valid until {expires:%Y-%m-%d}, for {', '.join(settings.hosts)}")
    print_note("Restart the server to use it")


def start(directory: Dir = HERE, tensorboard: TensorBoard = None, as_json: AsJson = False) -> None:
    """Serve the federation, in the foreground, until Ctrl-C or SIGTERM.

    A line on stdout says when clinics can connect; the log goes to stderr. Runs that were active when the
    server ended, however it ended, continue by themselves. On the port of the health checks, this machine's
    browsers see the dashboard, with a token by fl-server token.

    **Examples**

        fl-server start

        fl-server start --dir alps --tensorboard charts

        fl-server start --dir alps --json
    """
    from dermafed.server.coordinator.process_limits import (
        add_up_on_one_core,
        keep_tls_buffers_small,
        open_many_files,
        return_freed_memory,
        take_huge_pages,
    )

    take_huge_pages("fl-server")  # before the imports, which take a second
    from dermafed.server.coordinator.server_process import serve, start_flower
    from dermafed.server.dashboard.app import dashboard_app

    return_freed_memory()
    open_many_files()
    add_up_on_one_core()
    keep_tls_buffers_small()
    _log_to_stderr()

    def print_ready(ready: Ready) -> None:
        if as_json:
            print_json({"ready": True, **asdict(ready)})
        else:
            health = f"health: 127.0.0.1:{ready.health_port}"
            print(f"Ready: {ready.federation} at {ready.address}; CA {ready.ca_fingerprint}; {health}")
            print_note(f"Dashboard: http://localhost:{ready.health_port} (fl-server token NAME)")
        sys.stdout.flush()

    serve(directory, print_ready, tensorboard, open_link=partial(start_flower, page=dashboard_app))


def _log_to_stderr() -> None:
    """Our own log, and little of Flower's: the log of a library may contain anything."""
    from dermafed.server.flower.flower_log import FlowerLog

    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    log = logging.getLogger("dermafed")
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    logging.getLogger("flwr").addFilter(FlowerLog())


def _check_free(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise SettingsError("The folder is in use", where=folder, remedy="Choose a new one, or empty it")
