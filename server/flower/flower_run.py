"""A run as Flower knows it: opened, closed, and nothing of it left behind."""

from __future__ import annotations

import hashlib
import io
import logging
import sqlite3
import zipfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib.metadata import version
from pathlib import Path
from threading import Lock

from dermafed.server.flower.message_store import database_errors
from dermafed.server.flower.private_names import (
    NOOP_FEDERATION_ID,
    NOOP_FLWR_AID,
    Fab,
    LinkState,
    Status,
    SubStatus,
    TaskType,
    become_task,
    keep_running,
)
from dermafed.shared.errors import FederationError

log = logging.getLogger("dermafed.server")


@contextmanager
def open_run(state: LinkState, database: Path, lock: Lock) -> Iterator[int]:
    """A run of Flower's, open for as long as the context is.

    When it is closed, its messages are deleted and the database gives the space back.

    Args:
        state: of the server.
        database: the state's file.
        lock: held while the run is open, since Flower has one task a process.

    Yields:
        Flower's id of the run.

    Raises:
        FederationError: another run is open.
        StorageError: the database cannot be used.
    """
    if not lock.acquire(blocking=False):
        raise FederationError("Another run is open", remedy="Wait for its end, or stop it")
    try:
        run_id, task_id = _start(state)
        outcome = SubStatus.FAILED
        try:
            yield run_id
            outcome = SubStatus.COMPLETED
        finally:
            _close(state, run_id, task_id, outcome)
            _compact(database)
    finally:
        lock.release()


def close_leftovers(state: LinkState) -> None:
    """Close the runs that a sudden end of the server left open."""
    with database_errors():
        runs = state.get_run_info(statuses=[Status.PENDING, Status.STARTING, Status.RUNNING])
    for run in runs:
        _close(state, run.run_id, run.primary_task_id or 0, SubStatus.FAILED)


def make_fab() -> Fab:
    """What Flower needs of an app: a bundle without code, which says where a clinic has its own."""
    text = (
        f'[project]\nname = "dermafed"\nversion = "{version("dermafed")}"\n'
        '[tool.flwr.app]\npublisher = "dermafed"\n'
        '[tool.flwr.app.components]\nserverapp = "server.app:app"\nclientapp = "client.app:app"\n'
        "[tool.flwr.app.config]\n"
    )
    bundle = io.BytesIO()
    with zipfile.ZipFile(bundle, "w") as archive:
        # A date of its own, so that the same text has the same hash.
        archive.writestr(zipfile.ZipInfo("pyproject.toml", (1980, 1, 1, 0, 0, 0)), text)
    content = bundle.getvalue()
    return Fab(hashlib.sha256(content).hexdigest(), content, {})


def _start(state: LinkState) -> tuple[int, int]:
    """Open a run; its id and its task's."""
    fab, app_version = make_fab(), version("dermafed")
    with database_errors():
        state.store_fab(fab)
        run_id = state.create_run(
            "dermafed/dermafed",
            app_version,
            fab.hash_str,
            {},
            NOOP_FEDERATION_ID,
            None,
            NOOP_FLWR_AID,
            TaskType.SERVER_APP,
        )
        task_id = next((run.primary_task_id for run in state.get_run_info(run_ids=[run_id])), None)
        if task_id is None or not (state.claim_task(task_id) and state.activate_task(task_id)):
            raise FederationError("Flower did not start the run", remedy="Start it again")
        keep_running(state, task_id)
    become_task(task_id, run_id)
    return run_id, task_id


def _close(state: LinkState, run_id: int, task_id: int, outcome: str) -> None:
    with database_errors():
        state.finish_task(task_id, outcome, "")
        state.cleanup_run(run_id)


def _compact(database: Path) -> None:
    """Give the space of what was deleted back to the disk, unless someone reads just now."""
    try:
        with closing(sqlite3.connect(database, isolation_level=None, timeout=10)) as connection:
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except sqlite3.Error as error:
        log.warning("%s keeps its size (%s)", database.name, type(error).__name__)
