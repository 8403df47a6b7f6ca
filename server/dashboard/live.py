"""News for open pages: server-sent events that say that something has changed, and nothing else."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from starlette.concurrency import run_in_threadpool

from dermafed.server.coordinator.federation_folder import RECORD, RUNS
from dermafed.server.rounds.open_exchange import EXCHANGE_FILE

_LOOK_SECONDS = 1.0
_AGAIN_SECONDS = 15  # a page is drawn anew even without a change: a clinic becomes late by waiting
_LONGEST_SECONDS = 600.0  # then the browser connects again

Changed = tuple[object, ...]


def last_change(folder: Path) -> Changed:
    """What differs once the record or an open round has changed.

    Args:
        folder: of the federation.
    """
    files = [folder / RECORD, folder / f"{RECORD}-wal", *sorted((folder / RUNS).glob(f"*/{EXCHANGE_FILE}"))]
    return (int(time.time()) // _AGAIN_SECONDS, *map(_stamp, files))


async def events(folder: Path, is_open: Callable[[], bool]) -> AsyncIterator[str]:
    """An event ``change`` at the start and whenever something has changed.

    Args:
        folder: of the federation.
        is_open: whether the caller is still signed in; the stream ends otherwise.
    """
    before: Changed = ()
    end = time.monotonic() + _LONGEST_SECONDS
    yield "retry: 2000\n\n"
    while time.monotonic() < end and await run_in_threadpool(is_open):
        now = await run_in_threadpool(last_change, folder)
        if now != before:
            yield "event: change\ndata: {}\n\n"
        before = now
        await asyncio.sleep(_LOOK_SECONDS)


def _stamp(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError:
        return (0, 0)
    return (found.st_mtime_ns, found.st_size)
